"""What a load came to: for people as tables, for programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table

from tests.load.outcome import Drain, Outcome, Times

_FULL = 0.9  # part of the machine's cores from which they are what limits


@dataclass(frozen=True)
class Report:
    stack: str
    mix: str
    seed: int
    seconds: float
    mentions: dict[str, int]
    """How many arrived, by command."""
    outcome: Outcome
    drain: Drain
    pages: dict[str, Times]
    cached_pages: Times
    """Those that the CDN answered by itself."""
    cache: dict[str, int]
    errors: dict[str, int]
    cores: dict[str, float]
    busy: float
    workers: tuple[int, int]
    """The least and the most that were ready."""
    late: float
    """Seconds by which the generator was late at worst; included in all times."""
    broken: list[str] = field(default_factory=list)

    @property
    def limit(self) -> str:
        """What the load was limited by, as far as this machine tells."""
        first = ", ".join(f"{name} {used:.2f}" for name, used in list(self.cores.items())[:4])
        if self.busy >= _FULL:
            return f"the processor: {self.busy:.0%} busy; cores: {first}"
        return f"not the processor: {self.busy:.0%} busy; cores: {first}"


def broken(outcome: Outcome, drained: Drain, failures: dict[str, int]) -> list[str]:
    """Every promise that was not kept, in words."""
    found = [f"{outcome.lost} acknowledged mentions lost"] if outcome.lost else []
    found += [f"{count} mentions: {what}" for what, count in outcome.unanswered.items()]
    if drained.effects is None:
        found.append("effects are still to be done")
    found += [f"{count} x {what}" for what, count in failures.items()]
    return found


def render(report: Report) -> RenderableType:
    arrived = ", ".join(f"{count} {what}" for what, count in report.mentions.items())
    lines = [
        f"{report.stack}, {report.mix}, seed {report.seed}: {report.seconds:.0f} s, "
        f"{sum(report.mentions.values())} mentions ({arrived})",
    ]
    replies = ", ".join(f"{count} {what}" for what, count in report.outcome.replies.items())
    after = [
        f"replies: {replies or 'none'}",
        f"drained after: effects {_seconds(report.drain.effects)}, "
        f"replies {_seconds(report.drain.replies)}; workers {_span(report.workers)}",
        f"limited by: {report.limit}; generator late by {report.late:.2f} s at most",
        f"errors: {', '.join(f'{n} x {what}' for what, n in report.errors.items()) or 'none'}",
    ]
    if report.cache:
        cache = ", ".join(f"{count} {what}" for what, count in report.cache.items())
        after.insert(0, f"cache before the site: {cache}")
    ending = [f"BROKEN: {line}" for line in report.broken] or ["nothing lost, all answered"]
    return Group(*lines, _mentions(report), _pages(report), *after, *ending)


def _mentions(report: Report) -> Table:
    table = Table("mentions", "priority", "count", *_heads("arrival"), *_heads("effect"))
    for head in _heads("reply"):
        table.add_column(head, justify="right")
    for row in report.outcome.rows:
        table.add_row(
            row.way,
            row.priority,
            f"{row.effect.count:,}",
            *(f"{x:.2f}" for x in _parts(row.arrival)),
            *(f"{x:.2f}" for x in _parts(row.effect)),
            *(f"{x:.2f}" if row.reply.count else "-" for x in _parts(row.reply)),
        )
    return table


def _pages(report: Report) -> Table:
    table = Table("page", "count", "p50 ms", "p95 ms", "p99 ms")
    for page, times in [*report.pages.items(), ("from cache", report.cached_pages)]:
        if times.count:
            table.add_row(page, f"{times.count:,}", *(f"{1000 * x:.0f}" for x in _parts(times)))
    return table


def _heads(what: str) -> Sequence[str]:
    return [f"{what} p50 s", "p95", "p99"]


def _parts(times: Times) -> tuple[float, float, float]:
    return times.p50, times.p95, times.p99


def _seconds(value: float | None) -> str:
    return "not yet" if value is None else f"{value:.0f} s"


def _span(workers: tuple[int, int]) -> str:
    low, high = workers
    return f"{low}" if low == high else f"{low} to {high}"
