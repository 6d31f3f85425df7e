"""What a reviewer reads of an AWS stack before anything is made: resources, cost, findings, and
what another way of declaring it would do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from infra.config import StackConfig
from infra.engine import offline, stackfile
from infra.engine.comparison import Comparison, Snapshot, compare
from infra.engine.offline import Recording
from infra.policy.rule import Finding, judge
from infra.policy.rules import rules

_SHORT = 8  # characters below which a secret is found by chance


@dataclass(frozen=True)
class Review:
    """`against` names the stack that `comparison` starts from."""

    recording: Recording
    findings: list[Finding]
    against: str | None = None
    comparison: Comparison | None = None

    @property
    def cost(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.recording.outputs.values.get("cost") or {}
        return found

    @property
    def losses(self) -> list[str]:
        return self.comparison.losses() if self.comparison else []

    @property
    def blocks(self) -> bool:
        """Whether the stack should not be deployed like this."""
        return bool(self.losses) or any(finding.blocks for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        snapshot = self.recording.snapshot()
        document: dict[str, Any] = {
            "stack": snapshot.stack,
            "blocks": self.blocks,
            "resources": [
                {"path": path, "type": one.type, "name": one.name, "protect": one.protect}
                for path, one in snapshot.resources.items()
            ],
            "cost": self.cost or None,
            "findings": [_finding(one) for one in self.findings],
        }
        if self.comparison is not None:
            document["comparison"] = {
                "from": self.against,
                "added": list(self.comparison.added),
                "removed": list(self.comparison.removed),
                "changed": [
                    {"path": one.path, "keys": one.keys, "replaced": one.forcing}
                    for one in self.comparison.changed
                ],
                "losses": self.losses,
            }
        return document


def review(stack_name: str, today: date, against: str | None = None) -> Review:
    """Runs the program of a stack, and with `against` once more as that stack declares it.

    Raises:
        ConfigError: a stack file is wrong.
        pulumi.RunError: the program refuses to go on.
    """
    recording = _record(stack_name, stack_name)
    # Under the same name, since that is no difference between the two.
    before = _record(against, stack_name).snapshot() if against else None
    return Review(
        recording,
        findings(recording, _config(stack_name), today),
        against,
        compare(before, recording.snapshot()) if before else None,
    )


def findings(recording: Recording, config: StackConfig, today: date) -> list[Finding]:
    """What all policies find in what was recorded, with the stack's exceptions."""
    lines = (recording.outputs.values.get("cost") or {}).get("lines", [])
    paid_for = {name for line in lines for name in line["resources"]}
    return judge(
        recording.graph, rules(paid_for, recording.secrets), config.policy_exceptions, today
    )


def snapshot(stack_name: str) -> Snapshot:
    """What a stack declares now, as it is kept in tests/upgrade."""
    return _record(stack_name, stack_name).snapshot()


def _record(file: str, stack_name: str) -> Recording:
    values = stackfile.StackFile.open(file).values()
    return offline.record(
        stack_name,
        {key: value.text for key, value in values.items()},
        [v.text for v in values.values() if v.secret and len(v.text) >= _SHORT],
    )


def _config(stack_name: str) -> StackConfig:
    values = stackfile.StackFile.open(stack_name).values()
    return StackConfig.parse({key: one.text for key, one in values.items()}, stack=stack_name)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.name,
        "severity": str(finding.rule.severity),
        "blocks": finding.blocks,
        "resource": finding.resource.name,
        "type": finding.resource.type,
        "what": finding.what,
        "reason": finding.rule.reason,
        "fix": finding.rule.fix,
        "excepted": finding.excepted or None,
    }
