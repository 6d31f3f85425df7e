"""Decides that the Pulumi CLI is told the same as everybody else, as far as it lets policies look.

Resources are handed over in the SDK's own classes and proxies, as its server makes them. That the
CLI loads the pack is decided by trying it: `pulumi preview --policy-pack infra/policy/pack`.
"""

from contextvars import copy_context
from datetime import date
from typing import Any

from pulumi.runtime import config
from pulumi_policy import (
    EnforcementLevel,
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from infra.policy.graph import UNKNOWN
from infra.policy.pack import graph, policies
from infra.policy.rules import RULES, secrets

LATE = date(2999, 1, 1)


def options(*, protect: bool) -> PolicyResourceOptions:
    return PolicyResourceOptions(protect, [], False, [], PolicyCustomTimeouts(0, 0, 0), [])


def resource(type_: str, name: str, *, protect: bool = True, **props: Any) -> PolicyResource:
    urn = f"urn:pulumi:s::etcetera::{type_}::{name}"
    proxied = unknown_checking_proxy(props)
    return PolicyResource(type_, proxied, urn, name, options(protect=protect), None, None, [], {})


def reports(rule: str, *resources: PolicyResource) -> list[tuple[str, str | None]]:
    """What the policy of a rule reports, with the URN that it blames."""
    [policy] = [one for one in policies() if one.name == rule]
    assert isinstance(policy, StackValidationPolicy)
    found: list[tuple[str, str | None]] = []

    def report(said: str, urn: str | None = None) -> None:
        found.append((said, urn))

    policy.validate(StackValidationArgs(list(resources), {}, {}), report)
    return found


KEY = resource("aws:iam/accessKey:AccessKey", "robot")
BLOCKS = dict.fromkeys(
    ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
)


def test_a_breach_is_reported_with_what_to_do_and_whose_it_is() -> None:
    [(said, urn)] = reports("no-long-lived-keys", KEY)
    assert said == "robot is a key that never expires. Use a role."
    assert urn == KEY.urn


def test_every_rule_is_there_but_those_that_need_to_know_what_is_secret() -> None:
    names = {one.name for one in policies()}
    assert names == {one.name for one in RULES if one not in secrets.RULES} | {"priced"}


def test_what_blocks_a_deployment_elsewhere_blocks_it_here() -> None:
    assert {one.enforcement_level for one in policies()} == {EnforcementLevel.MANDATORY}


def test_an_exception_of_the_stack_is_kept_to() -> None:
    granted = (
        '[{"rule": "no-long-lived-keys", "resource": "robot", "reason": "moves away in spring", '
        f'"until": "{LATE}"}}]'
    )

    def excepted() -> list[tuple[str, str | None]]:
        config.CONFIG.set({"etcetera:policyExceptions": granted})
        return reports("no-long-lived-keys", KEY)

    assert copy_context().run(excepted) == []


def test_protection_is_seen() -> None:
    bucket = "aws:s3/bucket:Bucket"
    assert reports("protected", resource(bucket, "kept")) == []
    assert len(reports("protected", resource(bucket, "loose", protect=False))) == 1


def test_what_is_not_known_yet_is_presumed_to_be_right() -> None:
    bucket = resource("aws:s3/bucket:Bucket", "static", tags={"phase": UNKNOWN_STRING_VALUE})
    block = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    blocked = resource(block, "static-closed", bucket=UNKNOWN_STRING_VALUE, **BLOCKS)
    assert graph([bucket]).resources[0].get("tags.phase") == UNKNOWN
    assert reports("private-data", bucket, blocked) == []
    assert len(reports("private-data", bucket)) == 1


def test_what_is_paid_for_is_read_from_the_stacks_cost() -> None:
    paid, unpaid = (resource("aws:ec2/instance:Instance", name) for name in ("paid", "unpaid"))
    cost = {"lines": [{"resources": ["paid"]}]}
    stack = resource("pulumi:pulumi:Stack", "etcetera-s", cost=cost)
    assert [urn for _, urn in reports("priced", paid, unpaid, stack)] == [unpaid.urn]
