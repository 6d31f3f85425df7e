"""Decides what each policy lets through and what it finds: one good and one bad resource each."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from infra.policy.graph import Graph, Resource
from infra.policy.rule import Exemption, Severity, judge
from infra.policy.rules import RULES, rules
from infra.policy.rules.ownership import LABELS, TAGS, unpriced
from infra.policy.rules.secrets import leaked

TODAY = date(2026, 11, 23)
RDS = "aws:rds/instance:Instance"
TAGGED: dict[str, Any] = {"tags": dict.fromkeys(TAGS, "x")}
METADATA: dict[str, Any] = {
    "namespace": "etcetera",
    "labels": {f"app.kubernetes.io/{label}": "x" for label in LABELS},
}


def resource(
    type_: str,
    name: str = "it",
    *,
    protect: bool = True,
    secrets: tuple[str, ...] = (),
    **inputs: Any,
) -> Resource:
    return Resource(
        f"urn::{type_}::{name}", type_, name, inputs, protect=protect, secrets=frozenset(secrets)
    )


def broken(*resources: Resource) -> set[str]:
    """The names of the rules that these resources break."""
    return {one.rule.name for one in judge(Graph("s", resources), RULES, [], TODAY)}


def policy(action: str | list[str], on: str, who: Any = None) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": on, "Principal": who}
    return json.dumps({"Statement": [statement]})


def container(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "name": "web",
        "image": "registry.example/app@sha256:0",
        "readinessProbe": {"httpGet": {}},
        "livenessProbe": {"httpGet": {}},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {**good, **changes}


def deployment(**changes: Any) -> Resource:
    spec = {"template": {"spec": {"containers": [container(**changes)]}}}
    return resource("kubernetes:apps/v1:Deployment", metadata=METADATA, spec=spec)


def namespace(**labels: str) -> Resource:
    given = METADATA["labels"] | {"pod-security.kubernetes.io/enforce": "restricted"} | labels
    return resource(
        "kubernetes:core/v1:Namespace", "ns", metadata={"name": "etcetera", "labels": given}
    )


def deny(**changes: Any) -> Resource:
    return resource(
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "deny",
        metadata=METADATA,
        spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **changes},
    )


def apart(*pods: Resource) -> tuple[Resource, ...]:
    """Pods in a namespace that lets them speak with nobody."""
    return namespace(), deny(), *pods


def alarm(metric: str, of: str, **changes: Any) -> Resource:
    inputs: dict[str, Any] = {
        "metricName": metric,
        "dimensions": {"DBInstanceIdentifier": f"{of}-abc1234"},
        "alarmActions": ["topic"],
    }
    return resource(
        "aws:cloudwatch/metricAlarm:MetricAlarm", f"{of}-{metric}", **inputs | TAGGED | changes
    )


def watched(of: str) -> tuple[Resource, ...]:
    return tuple(alarm(m, of) for m in ("FreeStorageSpace", "CPUUtilization", "ReplicaLag"))


DATABASE: dict[str, Any] = {
    "storageEncrypted": True,
    "publiclyAccessible": False,
    "deletionProtection": True,
    "backupRetentionPeriod": 7,
    "skipFinalSnapshot": False,
    **TAGGED,
}
MACHINE: dict[str, Any] = {
    "rootBlockDevice": {"encrypted": True},
    "metadataOptions": {"httpTokens": "required"},
    **TAGGED,
}


def test_good_resources_break_nothing() -> None:
    assert (
        broken(
            *watched("postgres"),
            resource(RDS, "postgres", **DATABASE),
            resource("aws:ec2/instance:Instance", **MACHINE),
            resource(
                "aws:iam/rolePolicy:RolePolicy", policy=policy("s3:GetObject", "arn:aws:s3:::b/*")
            ),
            *apart(deployment()),
        )
        == set()
    )


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (
            "encrypted-at-rest",
            resource(RDS, **DATABASE | {"storageEncrypted": False}),
        ),
        (
            "encrypted-at-rest",
            resource("aws:ec2/instance:Instance", **MACHINE | {"rootBlockDevice": {}}),
        ),
        (
            "encrypted-in-transit",
            resource(
                "aws:elasticache/replicationGroup:ReplicationGroup",
                atRestEncryptionEnabled=True,
                **TAGGED,
            ),
        ),
        (
            "private-data",
            resource(RDS, **DATABASE | {"publiclyAccessible": True}),
        ),
        ("private-data", resource("aws:s3/bucket:Bucket", "pictures", **TAGGED)),
        (
            "no-open-ports",
            resource(
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
                cidrIpv4="0.0.0.0/0",
                fromPort=22,
                toPort=22,
                **TAGGED,
            ),
        ),
        ("imdsv2-only", resource("aws:ec2/instance:Instance", **MACHINE | {"metadataOptions": {}})),
        ("protected", resource(RDS, protect=False, **DATABASE)),
        (
            "protected",
            resource(RDS, **DATABASE | {"deletionProtection": False}),
        ),
        (
            "backed-up",
            resource(RDS, **DATABASE | {"backupRetentionPeriod": 1}),
        ),
        ("least-privilege", resource("aws:iam/rolePolicy:RolePolicy", policy=policy("s3:*", "x"))),
        (
            "least-privilege",
            resource("aws:iam/rolePolicy:RolePolicy", policy=policy("s3:GetObject", "*")),
        ),
        (
            "no-public-policies",
            resource(
                "aws:s3/bucketPolicy:BucketPolicy", policy=policy("s3:GetObject", "*", who="*")
            ),
        ),
        (
            "no-public-policies",
            resource("aws:kms/key:Key", policy=policy("kms:*", "*", who={"AWS": ["*"]}), **TAGGED),
        ),
        ("no-long-lived-keys", resource("aws:iam/accessKey:AccessKey")),
        ("no-plain-secrets", resource(RDS, password="abc", **DATABASE)),
        (
            "no-plain-secrets",
            resource("kubernetes:core/v1:ConfigMap", data={"url": "redis://:longpassword@h"}),
        ),
        (
            "no-secrets-in-user-data",
            resource("aws:ec2/instance:Instance", secrets=("userData",), userData="x", **MACHINE),
        ),
        ("probes", deployment(livenessProbe=None)),
        ("bounded", deployment(resources={})),
        ("confined", deployment(securityContext={})),
        ("pinned-image", deployment(image="registry.example/app:latest")),
        ("default-deny", deployment()),
        ("default-deny", deny(ingress=[{}])),
        ("restricted-pods", namespace(**{"pod-security.kubernetes.io/enforce": "baseline"})),
        ("watched", resource(RDS, **DATABASE)),
        ("alarms-tell", alarm("CPUUtilization", "it", alarmActions=[])),
        ("logs-expire", resource("aws:cloudwatch/logGroup:LogGroup", **TAGGED)),
        ("tagged", resource("aws:ec2/vpc:Vpc", tags={"project": "etcetera"})),
        ("tagged", resource("kubernetes:core/v1:Service", metadata={"name": "web"})),
        (
            "tagged",
            resource(
                "aws:autoscaling/group:Group",
                tags=[{"key": key, "value": "x", "propagateAtLaunch": False} for key in TAGS],
            ),
        ),
    ],
)
def test_a_bad_resource_breaks_its_rule(rule: str, bad: Resource) -> None:
    # What is bad about a namespace or a policy shows on the pods beside it.
    assert rule in broken(bad, deployment())


def test_a_secret_that_is_marked_is_no_finding() -> None:
    marked = resource(RDS, secrets=("password",), password="abc", **DATABASE)
    assert broken(*watched("it"), marked) == set()


def test_a_replica_takes_encryption_and_backups_from_its_source() -> None:
    inputs = {"replicateSourceDb": "main", "deletionProtection": True, **TAGGED}
    assert broken(*watched("it"), resource(RDS, **inputs)) == set()


def test_what_no_cost_line_names_is_unpriced_unless_it_is_free() -> None:
    graph = Graph(
        "s",
        (
            resource("aws:ec2/instance:Instance", "paid"),
            resource("aws:ec2/instance:Instance", "forgotten"),
            resource("aws:ec2/vpc:Vpc", "free"),
        ),
    )
    found = judge(graph, [unpriced({"paid"})], [], TODAY)
    assert [one.resource.name for one in found] == ["forgotten"]


def test_a_line_of_the_cost_for_what_is_not_there_is_found() -> None:
    graph = Graph("s", (resource("aws:ec2/instance:Instance", "paid"),))
    found = judge(graph, [unpriced({"paid", "gone"})], [], TODAY)
    assert [one.resource.name for one in found] == ["gone"]


def test_a_local_stack_is_not_held_to_what_it_would_cost_on_aws() -> None:
    graph = Graph("s", (resource("local:index:Process", "postgres"),))
    assert judge(graph, [unpriced({"postgres", "cluster-server"})], [], TODAY) == []


def test_a_secret_that_stands_elsewhere_in_plain_is_a_leak() -> None:
    graph = Graph(
        "s",
        (
            resource("kubernetes:core/v1:ConfigMap", "open", data={"url": "x-hunter2hunter2-y"}),
            resource(
                "kubernetes:core/v1:Secret", secrets=("data",), data={"url": "hunter2hunter2"}
            ),
        ),
    )
    found = judge(graph, [leaked({"hunter2hunter2"})], [], TODAY)
    assert [one.resource.name for one in found] == ["open"]


def test_an_exemption_holds_until_its_day_and_is_found_when_nothing_needs_it() -> None:
    graph = Graph("s", (*apart(deployment(image="app:latest")),))
    granted = Exemption(rule="pinned-image", resource="it", reason="a trial of it", until=TODAY)
    [excepted] = judge(graph, RULES, [granted], TODAY)
    assert not excepted.blocks
    late, expired = judge(graph, RULES, [granted], TODAY + timedelta(days=1))
    assert late.blocks
    assert (expired.rule.name, expired.blocks) == ("current-exceptions", False)
    assert "ran out on 2026-11-23" in expired.what
    unused = granted.model_copy(update={"rule": "probes"})
    assert "nothing needs" in judge(graph, RULES, [unused], TODAY)[1].what


def test_in_phase_0_nothing_is_protected() -> None:
    trial = DATABASE | {"deletionProtection": False, "tags": TAGGED["tags"] | {"phase": "phase0"}}
    assert broken(resource(RDS, protect=False, **trial), *watched("it")) == set()


def test_an_alarm_watches_the_database_that_it_names_and_no_other() -> None:
    other = resource(RDS, "postgres-replica", **DATABASE)
    alarms = watched("postgres")
    assert "watched" in broken(*alarms, other)
    assert "watched" not in broken(*alarms, resource(RDS, "postgres", **DATABASE))


def test_every_rule_says_why_and_how_to_mend_it() -> None:
    every = rules(paid_for=(), known=())
    assert len({rule.name for rule in every}) == len(every)
    assert all(len(rule.reason) > 20 and len(rule.fix) > 3 for rule in every)
    assert all(rule.severity in Severity for rule in every)
