"""Decides what each policy lets through and what it finds: one good and one bad resource each."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from infra.policy.graph import Graph, Resource
from infra.policy.rule import Exemption, Severity, idle, judge
from infra.policy.rules import RULES
from infra.policy.rules.ownership import TAGS, unpriced

TODAY = date(2026, 11, 23)
TAGGED = {"tags": dict.fromkeys(TAGS, "x")}


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


def policy(action: str | list[str], on: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": action, "Resource": on}]})


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
    return resource("kubernetes:apps/v1:Deployment", spec=spec)


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
            resource("aws:rds/instance:Instance", **DATABASE),
            resource("aws:ec2/instance:Instance", **MACHINE),
            resource(
                "aws:iam/rolePolicy:RolePolicy", policy=policy("s3:GetObject", "arn:aws:s3:::b/*")
            ),
            deployment(),
        )
        == set()
    )


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (
            "encrypted-at-rest",
            resource("aws:rds/instance:Instance", **DATABASE | {"storageEncrypted": False}),
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
            resource("aws:rds/instance:Instance", **DATABASE | {"publiclyAccessible": True}),
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
        ("protected", resource("aws:rds/instance:Instance", protect=False, **DATABASE)),
        (
            "protected",
            resource("aws:rds/instance:Instance", **DATABASE | {"deletionProtection": False}),
        ),
        (
            "backed-up",
            resource("aws:rds/instance:Instance", **DATABASE | {"backupRetentionPeriod": 1}),
        ),
        ("least-privilege", resource("aws:iam/rolePolicy:RolePolicy", policy=policy("s3:*", "x"))),
        (
            "least-privilege",
            resource("aws:iam/rolePolicy:RolePolicy", policy=policy("s3:GetObject", "*")),
        ),
        ("no-long-lived-keys", resource("aws:iam/accessKey:AccessKey")),
        ("no-plain-secrets", resource("aws:rds/instance:Instance", password="abc", **DATABASE)),
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
        ("tagged", resource("aws:ec2/vpc:Vpc", tags={"project": "etcetera"})),
    ],
)
def test_a_bad_resource_breaks_its_rule(rule: str, bad: Resource) -> None:
    assert rule in broken(bad)


def test_a_secret_that_is_marked_is_no_finding() -> None:
    marked = resource(
        "aws:rds/instance:Instance", secrets=("password",), password="abc", **DATABASE
    )
    assert broken(marked) == set()


def test_a_replica_takes_encryption_and_backups_from_its_source() -> None:
    inputs = {"replicateSourceDb": "main", "deletionProtection": True, **TAGGED}
    assert broken(resource("aws:rds/instance:Instance", **inputs)) == set()


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


def test_an_exemption_holds_until_its_day_and_is_told_when_nothing_needs_it() -> None:
    graph = Graph("s", (deployment(image="app:latest"),))
    granted = Exemption("pinned-image", "it", "a trial", TODAY)
    [excepted] = judge(graph, RULES, [granted], TODAY)
    assert not excepted.blocks
    [late] = judge(graph, RULES, [granted], TODAY + timedelta(days=1))
    assert late.blocks
    assert idle([excepted], [granted], TODAY) == []
    unused = Exemption("probes", "it", "", TODAY)
    assert len(idle([excepted], [unused], TODAY)) == 1
    assert len(idle([late], [granted], TODAY + timedelta(days=1))) == 1


def test_every_rule_says_why_and_how_to_mend_it() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(len(rule.reason) > 20 and len(rule.fix) > 3 for rule in RULES)
    assert all(rule.severity in Severity for rule in RULES)
