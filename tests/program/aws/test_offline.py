"""What the monitor that deploys nothing makes of small programs with resources of all providers.

Whole stacks are decided by the other modules of this folder.
"""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pulumi_random as random
import pytest

from infra.engine import offline
from infra.engine.comparison import HIDDEN
from infra.engine.invention import CONFIDENTIAL
from infra.engine.offline import Recording, UnansweredError
from infra.policy.graph import Resource


def recorded(program: Callable[[], None]) -> Recording:
    return offline.record("test", {"etcetera:region": "us-east-1"}, run=program)


def named(recording: Recording, name: str) -> Resource:
    [found] = [one for one in recording.graph.resources if one.name == name]
    return found


def in_cluster() -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        provider=kubernetes.Provider("api", kubeconfig=pulumi.Output.secret("kubeconfig"))
    )


def test_documents_made_from_outputs_are_known() -> None:
    def program() -> None:
        bucket = aws.s3.Bucket("pictures")
        statement = bucket.arn.apply(lambda arn: json.dumps({"Resource": f"{arn}/*"}))
        aws.iam.RolePolicy("reads", role="app", policy=statement)

    recording = recorded(program)
    document = json.loads(str(named(recording, "reads").get("policy")))
    assert document["Resource"].startswith("arn:aws:s3:us-east-1:123456789012:bucket/pictures-")
    [reads] = [one for one in recording.snapshot().resources.values() if one.name == "reads"]
    assert json.loads(reads.inputs["policy"])["Resource"] == "${pictures.arn}/*"


def test_secrets_stay_marked_wherever_they_go_and_are_in_no_snapshot() -> None:
    def program() -> None:
        password = random.RandomPassword("password", length=32)
        url = pulumi.Output.concat("postgresql://x:", password.result, "@db")
        kubernetes.core.v1.Secret("login", string_data={"URL": url}, opts=in_cluster())
        pulumi.export("url", url)

    recording = recorded(program)
    assert CONFIDENTIAL in str(named(recording, "login").inputs)
    assert named(recording, "login").secrets == {"stringData"}
    assert named(recording, "test").secrets == {"url"}
    assert named(recording, "api").secrets == {"kubeconfig"}
    assert CONFIDENTIAL not in recording.snapshot().text()
    assert HIDDEN in recording.snapshot().text()


def test_what_is_given_in_secret_is_given_back_in_secret() -> None:
    def program() -> None:
        given = pulumi.Output.secret("hunter2")
        parameter = aws.ssm.Parameter("login", type="SecureString", value=given)
        group = aws.elasticache.ParameterGroup(
            "group", family="valkey8", parameters=[{"name": "x", "value": given}]
        )
        pulumi.export("value", parameter.value)
        pulumi.export("nested", group.parameters)

    assert recorded(program).outputs.secrets == {"value", "nested"}


def test_releases_and_objects_of_any_kind_are_recorded() -> None:
    def program() -> None:
        opts = in_cluster()
        release = kubernetes.helm.v3.Release("keda", chart="keda", version="2", opts=opts)
        kubernetes.apiextensions.CustomResource(
            "scaling",
            api_version="keda.sh/v1alpha1",
            kind="ScaledObject",
            metadata={"name": "scaling"},
            spec={"maxReplicaCount": 4},
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[release])),
        )
        pulumi.export("namespace", release.status.namespace)

    recording = recorded(program)
    scaling = named(recording, "scaling")
    assert scaling.type == "kubernetes:keda.sh/v1alpha1:ScaledObject"
    assert scaling.get("spec.maxReplicaCount") == 4
    assert recording.outputs.values["namespace"]


def test_functions_answer_in_the_form_they_promise_with_what_was_asked() -> None:
    def program() -> None:
        found = aws.ec2.get_managed_prefix_list_output(name="com.amazonaws.global.cloudfront")
        pulumi.export("id", found.id)
        pulumi.export("name", found.name)

    outputs = recorded(program).outputs.values
    assert outputs["name"] == "com.amazonaws.global.cloudfront"
    assert outputs["id"].startswith("getManagedPrefixList-")


def test_what_cannot_be_made_up_is_refused_by_name() -> None:
    def program() -> None:
        aws.iam.get_policy_document(statements=[])

    with pytest.raises(UnansweredError, match="write the document as JSON"):
        recorded(program)


def test_existing_resources_can_be_looked_up() -> None:
    def program() -> None:
        zone = aws.route53.Zone.get("zone", "Z123")
        pulumi.export("servers", zone.name_servers)

    assert len(recorded(program).outputs.values["servers"]) == 4


def test_a_resource_in_another_region_is_there() -> None:
    def program() -> None:
        here = aws.acm.Certificate("here", domain_name="a.example")
        there = aws.acm.Certificate("there", domain_name="a.example", region="eu-west-1")
        pulumi.export("arns", [here.arn, there.arn])

    here, there = recorded(program).outputs.values["arns"]
    assert ":us-east-1:" in here
    assert ":eu-west-1:" in there


def test_two_runs_are_the_same_and_the_stacks_name_makes_no_difference() -> None:
    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        for zone in "abc":
            aws.ec2.Subnet(f"subnet-{zone}", vpc_id=vpc.id, cidr_block="10.0.0.0/24")

    first, second = recorded(program), recorded(program)
    other = offline.record("other", {}, run=program)
    assert first.graph == second.graph
    assert first.written == other.written
    assert first.snapshot().resources == other.snapshot().resources


def test_what_a_component_gives_is_looked_at_too() -> None:
    class Part(pulumi.ComponentResource):
        def __init__(self) -> None:
            super().__init__("etcetera:test:Part", "part")
            password = random.RandomPassword(
                "part-password", length=32, opts=pulumi.ResourceOptions(parent=self)
            )
            self.register_outputs({"plain": password.length, "secret": password.result})

    def program() -> None:
        Part()

    part = named(recorded(program), "part")
    assert part.get("plain") == 32
    assert part.secrets == {"secret"}


def test_options_that_matter_later_are_kept() -> None:
    def program() -> None:
        opts: Any = pulumi.ResourceOptions(protect=True, ignore_changes=["desiredCapacity"])
        aws.autoscaling.Group("group", max_size=1, min_size=1, opts=opts)

    [group] = recorded(program).snapshot().resources.values()
    assert group.protect
    assert group.ignored == ("desiredCapacity",)
