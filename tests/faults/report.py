"""What the faults cost, worst of all rounds: a table, and files in `.local/reports`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".local" / "reports"
HEADS = (
    "when",
    "rounds",
    "writes again, s",
    "pages again, s",
    "slowest effect, s",
    "slowest reply, s",
    "pages failed",
    "writes lost",
    "mentions lost",
    "effects doubled",
    "replies doubled",
)


@dataclass(frozen=True)
class Measured:
    """One round of a case. Times are seconds."""

    when: str
    writes: float
    pages: float
    effect: float
    reply: float
    pages_failed: int
    writes_lost: int
    mentions_lost: int
    effects_doubled: int
    replies_doubled: int
    replies_missing: int


def table(rounds: Sequence[Measured]) -> str:
    """Markdown; each figure is the worst of the case's rounds."""
    lines = [_line(HEADS), _line(["---"] * len(HEADS))]
    for when in dict.fromkeys(one.when for one in rounds):
        mine = [one for one in rounds if one.when == when]
        cells = [f"{max(getattr(one, name) for one in mine):.1f}" for name in _SECONDS]
        cells += [f"{max(getattr(one, name) for one in mine)}" for name in _COUNTS]
        lines.append(_line([when, f"{len(mine)}", *cells]))
    return "\n".join(lines) + "\n"


def write(rounds: Sequence[Measured], phase: int) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"faults-phase{phase}.json").write_text(
        json.dumps([asdict(one) for one in rounds], indent=2) + "\n"
    )
    (FOLDER / f"faults-phase{phase}.md").write_text(table(rounds))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_SECONDS = ("writes", "pages", "effect", "reply")
_COUNTS = ("pages_failed", "writes_lost", "mentions_lost", "effects_doubled", "replies_doubled")
