"""Decides what the foundations of a stack on AWS let in, hand out and cost, for both kinds of
cluster, with and without NAT, in the first region and in another one. That AWS takes the arguments
is decided by the provider's own rules (.ci/run), what machines do by tests/unit/aws."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pytest

from components.alerts import cost as alerts_cost
from components.cluster import cost as cluster_cost
from components.dns import cost as dns_cost
from components.encryption import cost as encryption_cost
from components.network import cost as network_cost
from components.target import AwsAccount
from infra import foundations
from infra.aws_sizes import AWS_SIZES, DatabaseHosting, Distribution, Nat
from infra.engine import offline
from infra.engine.offline import Recording
from infra.phases import PHASES
from infra.policy.graph import Resource, texts
from infra.policy.rule import judge
from infra.policy.rules import rules

ACCOUNT = "123456789012"
OPERATORS = ("203.0.113.7/32", "198.51.100.0/24")
TODAY = date(2026, 1, 1)
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
SUBNET = "aws:ec2/subnet:Subnet"


@dataclass(frozen=True)
class Shape:
    """What a stack may choose of its foundations."""

    phase: int
    distribution: Distribution = "k3s"
    nat: Nat = "none"
    hosting: DatabaseHosting = "rds"
    region: str = "us-east-1"
    operators: tuple[str, ...] = OPERATORS

    def account(self) -> AwsAccount:
        size = AWS_SIZES[self.phase]
        return AwsAccount(
            stack="test",
            phase=self.phase,
            account_id=ACCOUNT,
            region=self.region,
            domain="etcetera.example.com",
            hosted_zone_id=None,
            owner="platform",
            environment="test",
            operator_cidrs=self.operators,
            alert_email="operators@example.com",
            budget=PHASES[self.phase].budget,
            image="ghcr.io/example/etcetera:1",
            image_pull_secret=None,
            size=replace(
                size,
                network=replace(size.network, nat=self.nat),
                cluster=replace(size.cluster, distribution=self.distribution),
                postgres=replace(size.postgres, hosting=self.hosting),
            ),
            protect=self.phase > 0,
        )


SHAPES = [
    Shape(0),
    Shape(1),
    Shape(2),
    Shape(2, nat="gateway", hosting="kubernetes", region="eu-west-1"),
    Shape(2, distribution="eks"),
    Shape(2, distribution="eks", nat="gateway", hosting="kubernetes", region="eu-west-1"),
    Shape(2, distribution="eks", operators=()),
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def laid(account: AwsAccount, region: str) -> Recording:
    def declare() -> None:
        foundations.lay(account)

    config = {"etcetera:region": region, "etcetera:accountId": ACCOUNT}
    return offline.record("test", config, run=declare)


@cache
def recorded(shape: Shape) -> Recording:
    return laid(shape.account(), shape.region)


def of(shape: Shape, *types: str) -> Iterator[Resource]:
    return recorded(shape).graph.of(*types)


def named(shape: Shape, name: str) -> Resource:
    (found,) = [one for one in recorded(shape).graph.resources if one.name == name]
    return found


def paid_for(shape: Shape) -> set[str]:
    size = shape.account().size
    lines = [
        *encryption_cost.cost_lines("encryption", region=shape.region),
        *alerts_cost.cost_lines("alerts"),
        *dns_cost.cost_lines("dns"),
        *network_cost.cost_lines("network", size.network),
        *cluster_cost.cost_lines("cluster", size.cluster, size.usage, size.network),
    ]
    return {name for line in lines for name in line.resources}


def script(template: Resource) -> str:
    return base64.b64decode(template.get("userData")).decode()


@every_shape
def test_every_policy_holds_and_everything_is_paid_for(shape: Shape) -> None:
    recording = recorded(shape)
    every = rules(paid_for(shape), recording.secrets)
    assert [str(one) for one in judge(recording.graph, every, [], TODAY) if one.blocks] == []


@every_shape
def test_the_internet_reaches_nothing_but_the_site(shape: Shape) -> None:
    open_ports = {
        (rule.get("fromPort"), rule.get("toPort"))
        for rule in of(shape, INGRESS)
        if rule.get("cidrIpv4") == "0.0.0.0/0"
    }
    site = {(443, 443)} if shape.distribution == "eks" else {(80, 80), (443, 443)}
    assert open_ports == site
    # No rule hides within a group; what belongs to no group may do nothing.
    for group in of(shape, "aws:ec2/securityGroup:SecurityGroup"):
        assert not group.get("ingress")
    assert named(shape, "network-default").get("ingress") == []
    assert named(shape, "network-default").get("egress") == []


@every_shape
def test_nobody_gets_a_shell_by_address(shape: Shape) -> None:
    for rule in of(shape, INGRESS):
        if rule.get("cidrIpv4"):
            assert not rule.get("fromPort") <= 22 <= rule.get("toPort")
    assert not any("keyName" in template.inputs for template in of(shape, TEMPLATE))


@every_shape
def test_only_operators_reach_the_api(shape: Shape) -> None:
    if shape.distribution == "eks":
        reach = named(shape, "cluster-control-plane").get("vpcConfig")
        assert reach["endpointPrivateAccess"] is True
        assert reach["endpointPublicAccess"] is bool(shape.operators)
        assert tuple(reach.get("publicAccessCidrs") or ()) == shape.operators
    else:
        api = [rule.get("cidrIpv4") for rule in of(shape, INGRESS) if rule.get("fromPort") == 6443]
        assert sorted(api) == sorted(shape.operators)


@every_shape
def test_subnets_overlap_neither_each_other_nor_the_cluster(shape: Shape) -> None:
    networks = [IPv4Network(subnet.get("cidrBlock")) for subnet in of(shape, SUBNET)]
    networks += [IPv4Network("10.42.0.0/16"), IPv4Network("10.43.0.0/16")]
    assert len(networks) >= 6
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


@every_shape
def test_isolated_subnets_have_no_way_out(shape: Shape) -> None:
    """Only routes of their table would be one, and nothing else routes for them."""
    isolated = named(shape, "network-isolated")
    tables = {r.get("routeTableId") for r in of(shape, "aws:ec2/route:Route")}
    assert not any(str(table).startswith(f"{isolated.name}-0ff") for table in tables)
    associated = [
        one
        for one in of(shape, "aws:ec2/routeTableAssociation:RouteTableAssociation")
        if one.name.startswith("network-isolated")
    ]
    assert len(associated) == shape.account().size.network.zones
    assert all(one.get("routeTableId").startswith("network-isolated-0ff") for one in associated)


@every_shape
def test_machines_are_private_behind_a_nat_gateway_except_who_serves(shape: Shape) -> None:
    kind = "private" if shape.nat == "gateway" else "public"
    groups = [
        *of(shape, "aws:autoscaling/group:Group"),
        *of(shape, "aws:eks/nodeGroup:NodeGroup"),
    ]
    for group in groups:
        subnets = group.get("vpcZoneIdentifiers") or group.get("subnetIds")
        assert all(subnet.startswith(f"network-{kind}-") for subnet in subnets)
    assert len(list(of(shape, "aws:ec2/natGateway:NatGateway"))) == (shape.nat == "gateway")


@every_shape
def test_user_data_names_secrets_and_holds_none(shape: Shape) -> None:
    templates = list(of(shape, TEMPLATE))
    assert templates
    for template in templates:
        text = script(template)
        assert "userData" not in template.secrets
        assert not any(secret in text for secret in recorded(shape).secrets)
        assert "PRIVATE KEY" not in text


@every_shape
def test_what_the_cluster_is_made_of_is_secret_wherever_it_stands(shape: Shape) -> None:
    if shape.distribution == "eks":
        return
    for version in of(shape, "aws:secretsmanager/secretVersion:SecretVersion"):
        assert "secretString" in version.secrets
    assert "kubeconfig" in named(shape, "cluster-api").secrets
    held = json.loads(named(shape, "cluster-authority-version").get("secretString"))
    assert {path.rsplit("/", 1)[-1] for path in held} == {
        "server-ca.crt",
        "server-ca.key",
        "client-ca.crt",
        "client-ca.key",
        "token",
        "agent-token",
    }


@pytest.mark.parametrize("shape", [Shape(1), Shape(2)], ids=str)
def test_a_spot_machine_cannot_read_the_authorities(shape: Shape) -> None:
    """It may be anybody's tomorrow; it learns what lets it join, and no key."""
    documents = [
        json.loads(policy.get("policy"))
        for policy in of(shape, "aws:iam/rolePolicy:RolePolicy")
        if policy.name.startswith("cluster-spot")
    ]
    readable = {
        secret
        for document in documents
        for statement in document["Statement"]
        if statement["Action"] == "secretsmanager:GetSecretValue"
        for secret in statement["Resource"]
    }
    assert len(readable) == 1
    assert "cluster-join-0ff" in readable.pop()
    joined = json.loads(named(shape, "cluster-join-version").get("secretString"))
    assert not any(path.endswith(".key") for path in joined)


@every_shape
def test_pods_get_no_credentials_of_a_machine_unless_databases_need_them(shape: Shape) -> None:
    for template in of(shape, TEMPLATE):
        hops = template.get("metadataOptions.httpPutResponseHopLimit")
        assert hops == (2 if shape.hosting == "kubernetes" else 1)
        assert template.get("metadataOptions.httpTokens") == "required"


@every_shape
def test_what_is_encrypted_is_encrypted_with_the_stacks_own_key(shape: Shape) -> None:
    def own(arn: Any) -> bool:
        return "key/encryption-key-" in str(arn) or "key/encryption-global-key-" in str(arn)

    for template in of(shape, TEMPLATE):
        assert all(own(disk["ebs"]["kmsKeyId"]) for disk in template.get("blockDeviceMappings"))
    for kind, key in (
        ("aws:cloudwatch/logGroup:LogGroup", "kmsKeyId"),
        ("aws:sns/topic:Topic", "kmsMasterKeyId"),
        ("aws:secretsmanager/secret:Secret", "kmsKeyId"),
        ("aws:ebs/volume:Volume", "kmsKeyId"),
    ):
        assert all(own(resource.get(key)) for resource in of(shape, kind)), kind


@every_shape
def test_logs_end(shape: Shape) -> None:
    groups = list(of(shape, "aws:cloudwatch/logGroup:LogGroup"))
    assert len(groups) >= 2
    assert all(group.get("retentionInDays") == 30 for group in groups)


@every_shape
def test_spending_is_told_before_the_budget_is_gone(shape: Shape) -> None:
    budget = named(shape, "alerts-budget")
    assert budget.get("limitAmount") == str(PHASES[shape.phase].budget)
    assert budget.get("costFilters") == [{"name": "TagKeyValue", "values": ["user:stack$test"]}]
    told = {(n["notificationType"], n["threshold"]) for n in budget.get("notifications")}
    assert told == {("ACTUAL", 80), ("FORECASTED", 100)}
    assert all(len(n["subscriberSnsTopicArns"]) == 1 for n in budget.get("notifications"))


@every_shape
def test_every_topic_sends_mail_and_every_alarm_has_a_topic(shape: Shape) -> None:
    topics = list(of(shape, "aws:sns/topic:Topic"))
    regions = {topic.get("region") for topic in topics}
    assert regions == {shape.region, "us-east-1"}
    mails = list(of(shape, "aws:sns/topicSubscription:TopicSubscription"))
    assert len(mails) == len(topics)
    assert {mail.get("endpoint") for mail in mails} == {"operators@example.com"}
    alarms = list(of(shape, "aws:cloudwatch/metricAlarm:MetricAlarm"))
    assert len(alarms) >= 2
    for alarm in alarms:
        assert ":sns:" in alarm.get("alarmActions.0")
        assert len(alarm.get("alarmDescription")) > 20


def test_a_broken_host_is_left_and_a_stuck_server_restarted() -> None:
    host = named(Shape(0), "cluster-server-host").get("alarmActions")
    stuck = named(Shape(0), "cluster-server-system").get("alarmActions")
    assert "arn:aws:automate:us-east-1:ec2:recover" in host
    assert "arn:aws:automate:us-east-1:ec2:reboot" in stuck


def test_workers_have_spot_machines_that_others_keep_off() -> None:
    k3s = script(named(Shape(2), "cluster-spot-template"))
    assert '"node-taint": ["etcetera.exchange/workers=true:NoSchedule"]' in k3s
    eks = named(Shape(2, distribution="eks"), "cluster-spot")
    assert eks.get("capacityType") == "SPOT"
    assert eks.get("taints.0.key") == "etcetera.exchange/workers"
    assert eks.get("labels")["etcetera.exchange/workers"] == "true"


def test_addons_wait_for_the_api_and_are_pinned() -> None:
    for shape in SHAPES:
        releases = list(of(shape, "kubernetes:helm.sh/v3:Release"))
        names = {release.get("name") for release in releases}
        assert "traefik" in names
        assert ("keda" in names) is (PHASES[shape.phase].workload.scaling is not None)
        assert ("cloudnative-pg" in names) is (shape.hosting == "kubernetes")
        assert all(release.get("version") for release in releases)


@every_shape
def test_no_name_is_used_twice(shape: Shape) -> None:
    names = [one.name for one in recorded(shape).graph.resources if "providers" not in one.type]
    components = {"encryption", "alerts", "dns", "network", "cluster", "test"}
    assert sorted({n for n in names if names.count(n) > 1} - components) == []
    assert all(n.split("-")[0] in components | {"aws"} for n in names)


def test_a_cluster_that_grows_replaces_no_machine() -> None:
    """Phase 2 adds groups to what phase 1 has: the server's script stays to the letter."""

    def comparable(shape: Shape) -> Mapping[str, Any]:
        return {
            key: value
            for key, value in named(shape, "cluster-server-template").inputs.items()
            if key not in ("tags", "tagSpecifications")
        }

    assert comparable(Shape(1)) == comparable(Shape(2))


def test_a_network_that_would_not_work_is_refused_by_its_key() -> None:
    shape = Shape(1)
    account = shape.account()
    size = replace(account.size, network=replace(account.size.network, cidr="10.43.0.0/16"))
    with pytest.raises(ValueError, match=r"etcetera:vpcCidr: .* services"):
        laid(replace(account, size=size), shape.region)


@every_shape
def test_nothing_that_leaves_the_foundations_is_in_plain_if_it_is_secret(shape: Shape) -> None:
    cluster = named(shape, "cluster")
    for path, text in texts(cluster.inputs):
        if any(secret in text for secret in recorded(shape).secrets):
            assert path in cluster.secrets, path
