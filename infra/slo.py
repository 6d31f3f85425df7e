"""Whether a stack that is up reaches the objectives of its phase: asks its monitor, for people.

Reads the stack's outputs as JSON from standard input.
"""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import click
import httpx
from rich.console import Console
from rich.table import Table

MISSED, UNMEASURED = 1, 2
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_POLL_SECONDS = 2.0
_STYLES = {"ok": "green", "missed": "bold red", "no data": "yellow", "elsewhere": "dim"}
_TIMES = ("p50", "p95", "p99")


class _Duration(click.ParamType[float]):
    """Seconds, as `90`, `90s`, `10m` or `1h`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        text = str(value)
        number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
        try:
            return float(number) * _UNITS[unit]
        except ValueError:
            self.fail(f"{text!r} is no duration; write 90s or 10m", param, ctx)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("stack")
@click.option(
    "--window",
    type=_Duration(),
    default="10m",
    show_default=True,
    help="How far to look back; an hour at most.",
)
@click.option("--wait", is_flag=True, help="First wait until a whole window has been watched.")
@click.option("--json", "as_json", is_flag=True, help="Print what the monitor says, as JSON.")
def main(stack: str, window: float, wait: bool, as_json: bool) -> None:
    """Checks the objectives of STACK's phase against what its monitor saw.

    Exit code: 0 when all are reached, 1 when one is missed, 2 when one could not be measured.
    """
    outputs = json.load(sys.stdin)
    try:
        verdict = ask(monitor(outputs, stack), stack, window, wait=wait)
    except _UnmeasuredError as error:
        click.echo(f"scripts/slo: {error}", err=True)
        sys.exit(UNMEASURED)
    if as_json:
        click.echo(json.dumps(verdict, indent=2))
    else:
        report(stack, outputs, verdict)
    sys.exit(exit_code(outputs["slo"], verdict))


class _UnmeasuredError(Exception):
    """There is nothing to judge by; the message says what to do."""


def monitor(outputs: Mapping[str, Any], stack: str) -> str:
    """The address of the stack's monitor."""
    if not outputs["slo"]:
        raise _UnmeasuredError(f"phase {outputs['phase']} has no objectives; phase 1 is the first")
    metrics = outputs["endpoints"]["metrics"].get("monitor")
    if not isinstance(metrics, str) or not metrics.startswith("http"):
        raise _UnmeasuredError(f"stack {stack} is not up; run: scripts/up {stack}")
    return metrics.removesuffix("/metrics")


def ask(url: str, stack: str, window: float, *, wait: bool) -> dict[str, Any]:
    """The monitor's verdict on the last `window` seconds."""
    while True:
        try:
            answer = httpx.get(f"{url}/slo", params={"window": window}, timeout=30, trust_env=False)
        except httpx.HTTPError as error:
            raise _UnmeasuredError(
                f"the monitor at {url} does not answer ({error}); run: scripts/up {stack}"
            ) from None
        verdict: dict[str, Any] = answer.json()
        if answer.status_code != 200:
            raise _UnmeasuredError(str(verdict.get("error", answer.status_code)))
        # The first look begins the history, so one pause between two looks is always missing.
        if not wait or verdict["watched_seconds"] >= window - _POLL_SECONDS:
            return verdict
        time.sleep(_POLL_SECONDS)


def exit_code(objectives: Mapping[str, float], verdict: Mapping[str, Any]) -> int:
    verdicts = {found["name"]: found["verdict"] for found in verdict["objectives"]}
    if "missed" in verdicts.values():
        return MISSED
    # The stack says what has to be judged, whatever the monitor was told.
    if "no data" in verdicts.values() or set(objectives) - set(verdicts):
        return UNMEASURED
    return 0


def report(stack: str, outputs: Mapping[str, Any], verdict: Mapping[str, Any]) -> None:
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=160)  # a pipe's imagined terminal would cut cells
    watched = verdict["watched_seconds"]
    screen.print(f"{stack}, phase {outputs['phase']}: the last {watched / 60:.1f} min watched.")
    table = Table("objective", "limit", "measured", "", "how measured", box=None, pad_edge=False)
    for found in verdict["objectives"]:
        word = found["verdict"]
        table.add_row(
            found["title"],
            _limit(found),
            value(found["measured"], found["unit"]),
            f"[{_STYLES[word]}]{word}[/]",
            f"{found['how']} [dim]({found['samples']:,})[/]",
        )
    screen.print(table)
    screen.print()
    screen.print(_times(verdict["figures"]))
    others = [f for f in verdict["figures"] if not f["title"].endswith(_TIMES)]
    screen.print(
        ". ".join(
            f"{f['title']}: {value(f['value'], f['unit'])}"
            for f in others
            if f["value"] is not None
        ),
        style="dim",
    )


def _times(figures: list[Mapping[str, Any]]) -> Table:
    """Percentiles side by side, a row for each sort of thing."""
    table = Table("seconds", *_TIMES, box=None, pad_edge=False)
    rows: dict[str, dict[str, str]] = {}
    for figure in figures:
        what, _, part = figure["title"].rpartition(", ")
        if part in _TIMES and figure["value"] is not None:
            rows.setdefault(what, {})[part] = value(figure["value"], figure["unit"])
    for what, row in rows.items():
        table.add_row(what, *(row.get(part, "") for part in _TIMES))
    return table


def _limit(found: Mapping[str, Any]) -> str:
    at_least = found["unit"] in ("%", "/min", "x")
    return f"{'≥' if at_least else '≤'} {value(found['limit'], found['unit'])}"


def value(number: float | None, unit: str) -> str:
    """A figure as people read it: times in ms or s, shares in percent."""
    if number is None:
        return "–"  # noqa: RUF001
    if unit == "s":
        return f"{number * 1000:.0f} ms" if number < 1 else f"{number:.2f} s"
    if unit == "%":
        return f"{number:.2%}".replace("%", " %")
    return f"{number:,.0f}{' ' if unit else ''}{unit}"


if __name__ == "__main__":
    main(prog_name="scripts/slo")
