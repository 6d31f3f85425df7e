"""What a policy is: a pure function over a stack's resources that yields findings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

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


@dataclass(frozen=True)
class Exemption:
    """Lets one resource break one rule until a day; `reason` is shown wherever it is."""

    rule: str
    resource: str
    reason: str
    until: date


def judge(
    graph: Graph, rules: Sequence[Rule], exceptions: Sequence[Exemption], today: date
) -> list[Finding]:
    """Everything found, the worst first. An exception that has run out excepts nothing."""
    valid = {(e.rule, e.resource): e.reason for e in exceptions if e.until >= today}
    found = [
        Finding(
            rule, breach.resource, breach.what, valid.get((rule.name, breach.resource.name), "")
        )
        for rule in rules
        for breach in rule.check(graph)
    ]
    return sorted(found, key=lambda one: (not one.blocks, one.rule.name, one.resource.name))


def idle(findings: Sequence[Finding], exceptions: Sequence[Exemption], today: date) -> list[str]:
    """Exceptions that have run out or that nothing needs any more: they are to be removed."""
    used = {(one.rule.name, one.resource.name) for one in findings}
    return [
        f"the exception of {e.resource} from {e.rule} "
        + ("ran out on " + e.until.isoformat() if e.until < today else "is not needed any more")
        for e in exceptions
        if e.until < today or (e.rule, e.resource) not in used
    ]
