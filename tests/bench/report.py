"""What a run found, for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tests.bench import crowds, pages, pipeline
from tests.bench.figures import Spread


@dataclass(frozen=True)
class Report:
    """`machine` says what it ran on; parts that were not asked for are None."""

    machine: str
    seconds: float
    pages: pages.Report | None
    bot: pipeline.Report | None
    phases: crowds.Report | None


def render(report: Report) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"{report.machine}; {report.seconds:.0f} s. Median of the rounds (lowest-highest).")
    ]
    if report.pages:
        parts += _pages(report.pages)
    if report.bot:
        parts += _bot(report.bot)
    if report.phases:
        parts += _phases(report.phases)
    return Group(*parts)


def _pages(report: pages.Report) -> Iterator[RenderableType]:
    table = _table("Pages", "page", "server", "requests/s", "p50 ms", "p95 ms", "to bare Flask")
    for row in report.rows:
        table.add_row(
            f"{row.page} ({report.bytes[row.page] / 1024:.0f} KB)",
            row.server,
            row.rate.text(),
            row.p50.text(1),
            row.p95.text(1),
            _times(row.to_bare),
        )
    yield table
    gains = ", ".join(f"{page} {_times(gain)}" for page, gain in report.cached_to_uncached.items())
    yield Text(f"With cache to without: {gains}.")
    fastest = max(report.rows, key=lambda row: row.rate.median)
    yield Text(
        f"{pages.CONNECTIONS} connections; the generator took at most"
        f" {max(row.generator for row in report.rows):.0%} of a core"
        f" (at {fastest.rate.median:,.0f} requests/s);"
        f" {sum(row.failures for row in report.rows)} requests failed."
    )


def _bot(report: pipeline.Report) -> Iterator[RenderableType]:
    table = _table(
        "Claims through the bot",
        "way",
        "claims/s",
        "to 1 connection",
        f"to {report.connections} connections",
    )
    for row in report.rows:
        table.add_row(row.way, row.rate.text(), _times(row.to_bare), _times(row.to_bare_wide))
    yield table
    yield Text(
        f"{report.claims} claims a round, {report.statements} statements each beside the queue's."
        f" Phase 1 to phase 0: {_times(report.phase1_to_phase0)}."
    )
    if sent := report.sending:
        yield Text(
            f"Sending, to the local network: {sent.rate:.1f} replies/s ({sent.replies} replies;"
            f" from mention to reply p50 {sent.p50:.1f} s, p95 {sent.p95:.1f} s in one burst)."
        )


def _phases(report: crowds.Report) -> Iterator[RenderableType]:
    table = _table(
        "People at a time",
        "phase",
        "people",
        "pages/s",
        "p50 ms",
        "p95 ms",
        "failed",
        "cache hits",
        "db waits / timeouts",
    )
    for row in report.rows:
        _add(table, row.phase, row.people.text(), row.window)
    ten = report.tenfold
    _add(table, f"{ten.phase}, 10 x {report.rows[0].phase}", str(ten.people), ten)
    yield table
    yield Text(
        f"Phase 1 to phase 0: {_times(report.phase1_to_phase0)}. People: the most with p95 below"
        f" {crowds.PROMISE:.0f} s and nothing failed; the other figures are of the best round."
    )
    servers = ("web", "postgres", "redis", "edge")
    table = _table("Processor milliseconds per page", "phase", *servers, "cores busy")
    for row in report.rows:
        window = row.window
        busy = sum(window.cores.values()) + window.generator
        cost = [f"{window.cost[name]:.2f}" if name in window.cost else "-" for name in servers]
        table.add_row(f"{row.phase}, {window.people} people", *cost, f"{busy:.2f}")
    yield table
    yield Text("Cores busy: all processes of the stack and the generator.")


def _add(table: Table, phase: str, people: str, window: crowds.Window) -> None:
    table.add_row(
        phase,
        people,
        f"{window.rate:.0f}",
        f"{window.p50:.0f}",
        f"{window.p95:.0f}",
        str(sum(window.failures.values())),
        "-" if window.hit_rate is None else f"{window.hit_rate:.0%}",
        f"{window.waits} / {window.timeouts}",
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < 1 else "right")
    return table


def _times(spread: Spread) -> str:
    return f"x {spread.text(2)}"
