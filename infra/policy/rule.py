"""What a policy is: a pure function over a stack's resources that yields findings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from infra.policy.graph import Graph, Resource


class Severity(StrEnum):
    ERROR = "error"  # the stack is not deployed
    WARNING = "warning"  # said, and deployed


@dataclass(frozen=True)
class Breach:
    """One resource that does not keep a rule, and what exactly is wrong with it."""

    resource: Resource
    what: str


Check = Callable[[Graph], Iterable[Breach]]


@dataclass(frozen=True)
class Rule:
    """`name` is what an exception names; `reason` says why it matters, `fix` how to mend it."""

    name: str
    severity: Severity
    reason: str
    fix: str
    check: Check


@dataclass(frozen=True)
class Finding:
    """A breach with the rule it breaks; `excepted` is the reason why it is let through."""

    rule: Rule
    resource: Resource
    what: str
    excepted: str = ""

    @property
    def blocks(self) -> bool:
        return self.rule.severity is Severity.ERROR and not self.excepted

    def __str__(self) -> str:
        state = f"excepted ({self.excepted})" if self.excepted else str(self.rule.severity)
        return (
            f"{state}: {self.resource.name} ({self.resource.type}) {self.what}. "
            f"{self.rule.reason}. {self.rule.fix} [{self.rule.name}]"
        )


class Exemption(BaseModel):
    """Lets one resource break one rule until a day; `reason` is shown wherever it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    resource: str
    reason: Annotated[str, Field(min_length=10)]
    until: date


def judge(
    graph: Graph, rules: Sequence[Rule], exceptions: Sequence[Exemption], today: date
) -> list[Finding]:
    """Everything found, the worst first. An exception that has run out excepts nothing, and like
    one that nothing needs it is a finding itself."""
    valid = {(e.rule, e.resource): e.reason for e in exceptions if e.until >= today}
    found = [
        Finding(
            rule, breach.resource, breach.what, valid.get((rule.name, breach.resource.name), "")
        )
        for rule in rules
        for breach in rule.check(graph)
    ]
    used = {(one.rule.name, one.resource.name) for one in found}
    found += [
        Finding(CURRENT, _subject(graph, one.resource), f"{problem} (from {one.rule})")
        for one in exceptions
        if (problem := _outdated(one, used, today))
    ]
    return sorted(found, key=lambda one: (not one.blocks, one.rule.name, one.resource.name))


def _outdated(exemption: Exemption, used: set[tuple[str, str]], today: date) -> str:
    if exemption.until < today:
        return f"has an exception that ran out on {exemption.until.isoformat()}"
    if (exemption.rule, exemption.resource) not in used:
        return "has an exception that nothing needs"
    return ""


def _subject(graph: Graph, name: str) -> Resource:
    unknown = Resource("", "no resource", name)
    return next((one for one in graph.resources if one.name == name), unknown)


CURRENT = Rule(
    "current-exceptions",
    Severity.WARNING,
    "An exception that outlives its reason hides the next breach",
    "Remove it from policyExceptions, or give it a new reason and day",
    lambda _: (),  # found by `judge`, which knows the exceptions
)
