"""Writes the table of rules in docs/policies.md: `python -m infra.policy.reference`."""

from pathlib import Path

from infra.policy.rule import CURRENT, Rule
from infra.policy.rules import rules

DOCUMENT = Path(__file__).parents[2] / "docs" / "policies.md"
BEGIN, END = "<!-- rules -->\n", "<!-- /rules -->\n"


def table() -> str:
    """All rules, each with why it is there and how to keep it."""
    every = sorted((*rules(paid_for=(), known=()), CURRENT), key=lambda rule: rule.name)
    return "| Rule | Severity | Why | How to keep it |\n|---|---|---|---|\n" + "".join(
        map(_row, every)
    )


def document(text: str) -> str:
    """The document with the table as it is now."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def _row(rule: Rule) -> str:
    return f"| `{rule.name}` | {rule.severity} | {rule.reason} | {rule.fix} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text()))
