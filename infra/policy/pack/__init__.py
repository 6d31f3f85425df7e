"""The policies for the Pulumi CLI: `pulumi preview --policy-pack infra/policy/pack`.

The same rules as everywhere, each on the whole stack. Left out is what the CLI does not tell a
policy: which values are secret (`infra.policy.rules.secrets`; the preview without the CLI and the
tests look at that).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError
from pydantic import TypeAdapter

from infra.policy.graph import UNKNOWN, Graph, Resource
from infra.policy.rule import Exemption, Rule, Severity, judge
from infra.policy.rules import RULES, ownership, secrets

LEVELS = {
    Severity.ERROR: EnforcementLevel.MANDATORY,
    Severity.WARNING: EnforcementLevel.ADVISORY,
}
STACK = "pulumi:pulumi:Stack"


def policies() -> list[Policy]:
    """One policy of the SDK for each rule that can be decided with what the CLI tells."""
    decidable = [rule for rule in RULES if rule not in secrets.RULES]
    return [*map(_policy, decidable), _policy(ownership.unpriced(()))]


def graph(resources: Sequence[PolicyResource]) -> Graph:
    """The stack as rules see it."""
    return Graph(
        next((one.urn.split(":")[2] for one in resources), ""),
        tuple(
            Resource(
                urn=one.urn,
                type=one.resource_type,
                name=one.name,
                inputs=_known(one.props),
                parent=one.parent.urn if one.parent else "",
                protect=one.opts.protect,
            )
            for one in resources
        ),
    )


def check(
    rule: Rule, stack: Graph, exceptions: Sequence[Exemption], report: ReportViolation, today: date
) -> None:
    """Reports what a rule finds and nothing excepts."""
    own = [one for one in exceptions if one.rule == rule.name]
    for finding in judge(stack, [_priced(rule, stack)], own, today):
        if finding.rule.name == rule.name and not finding.excepted:
            # The CLI says the rule's reason by itself.
            said = f"{finding.resource.name} {finding.what}. {rule.fix}."
            report(said, finding.resource.urn or None)


def _policy(rule: Rule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        check(rule, graph(args.resources), _exceptions(), report, datetime.now(UTC).date())

    return StackValidationPolicy(
        name=rule.name,
        description=f"{rule.reason}.",
        validate=validate,
        enforcement_level=LEVELS[rule.severity],
        remediation_steps=f"{rule.fix}.",
    )


def _priced(rule: Rule, stack: Graph) -> Rule:
    """That rule knows what is paid for by the stack's output `cost`."""
    if rule.name != ownership.unpriced(()).name:
        return rule
    lines = [line for one in stack.of(STACK) for line in one.get("cost.lines") or ()]
    return ownership.unpriced({name for line in lines for name in line["resources"]})


def _exceptions() -> list[Exemption]:
    """Those of the stack that is looked at."""
    given = pulumi.Config("etcetera").get("policyExceptions") or "[]"
    return TypeAdapter(list[Exemption]).validate_json(given)


def _known(value: Any) -> Any:
    """A value without the SDK's proxies, which raise at what is not known."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(holder: Any, key: Any) -> Any:
    try:
        return _known(holder[key])
    except UnknownValueError:
        return UNKNOWN
