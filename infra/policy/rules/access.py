"""Roles may do what they need and nothing else."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from infra.policy.graph import Graph, Resource
from infra.policy.rule import Breach, Rule, Severity

_INLINE = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
)
# Who may use a resource is said on it, under this input.
_ON_RESOURCES = {
    "aws:iam/role:Role": "assumeRolePolicy",
    "aws:kms/key:Key": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",  # pragma: allowlist secret
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}
_ATTACHED = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment",)
_BROAD = ("AdministratorAccess", "PowerUserAccess", "FullAccess")
# Actions that AWS offers for no narrower resource than all.
_ONLY_FOR_ALL = (
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
    "ec2:Describe",
    "ssmmessages:",
    "ec2messages:",
    "ssm:UpdateInstanceInformation",
)


def _statements(resource: Resource, key: str = "policy") -> list[dict[str, Any]]:
    policy = resource.get(key)
    try:
        document = json.loads(policy) if isinstance(policy, str) else policy or {}
    except ValueError:
        return []  # not known before it is deployed
    return _many(document.get("Statement", []))


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _too_much(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_INLINE):
        for statement in _statements(resource):
            if statement.get("Effect") != "Allow":
                continue
            actions = [str(action) for action in _many(statement.get("Action"))]
            if any(a == "*" or a.endswith(":*") for a in actions) or "NotAction" in statement:
                yield Breach(resource, f"allows {', '.join(actions) or 'all but some actions'}")
            everywhere = "*" in _many(statement.get("Resource"))
            narrow = [a for a in actions if not a.startswith(_ONLY_FOR_ALL)]
            if everywhere and narrow and not statement.get("Condition"):
                yield Breach(resource, f"allows {', '.join(narrow)} on everything")
    for resource in graph.of(*_ATTACHED):
        arn = str(resource.get("policyArn", ""))
        if arn.endswith(_BROAD):
            yield Breach(resource, f"attaches {arn.rsplit('/', 1)[-1]}")


def _anybody(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of(*_ON_RESOURCES):
        for statement in _statements(resource, _ON_RESOURCES[resource.type]):
            principal = statement.get("Principal")
            named = principal.values() if isinstance(principal, dict) else [principal]
            everybody = any("*" in _many(one) for one in named)
            if statement.get("Effect") == "Allow" and everybody and not statement.get("Condition"):
                yield Breach(resource, "lets everybody in")


def _users(graph: Graph) -> Iterator[Breach]:
    for resource in graph.of("aws:iam/accessKey:AccessKey"):
        yield Breach(resource, "is a key that never expires")


RULES = (
    Rule(
        "least-privilege",
        Severity.ERROR,
        "Whoever takes over a part gets what its role may do",
        "Name the actions and the resources",
        _too_much,
    ),
    Rule(
        "no-public-policies",
        Severity.ERROR,
        "What everybody may use is used by somebody",
        "Name the principals, or what must hold of them in a Condition",
        _anybody,
    ),
    Rule(
        "no-long-lived-keys",
        Severity.ERROR,
        "A key that leaks is good for ever",
        "Use a role",
        _users,
    ),
)
