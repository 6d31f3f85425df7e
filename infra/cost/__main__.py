"""`scripts/cost`: what a stack costs on AWS a month, before anything is made."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from infra.config import ConfigError, StackConfig
from infra.cost import page
from infra.cost.book import UnpricedError
from infra.cost.stack import cost
from infra.engine.stackfile import StackFile

OVER_BUDGET = 2
STALE_ITEMS_NAMED = 5
UNITS = {"hour": "", "month": "", "gb-month": " GB", "gb": " GB", "million": " M"}

screen = Console(highlight=False)
notes = Console(stderr=True, highlight=False)


@click.command(
    help="What a stack costs on AWS a month: line by line, against the phase's budget, and what "
    "the way it is bought gives up. A local stack is priced as the same phase on AWS. "
    f"Exit code {OVER_BUDGET}: beyond the budget.",
    epilog="Examples:  scripts/cost phase1-aws  |  scripts/cost phase1-aws --compare phase2-aws  "
    "|  scripts/cost phase2-aws --json  |  scripts/cost phase0-aws --compare phase1-aws "
    "--compare phase2-aws --page cost.html",
)
@click.argument("stack")
@click.option("--compare", multiple=True, help="Another stack to lay beside it; may be repeated.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print the `cost` documents as JSON.")
@click.option("--page", "to", type=Path, help="Write a page with charts to this file.")
def command(stack: str, compare: tuple[str, ...], as_json: bool, to: Path | None) -> None:
    try:
        found = {name: _cost(name) for name in (stack, *compare)}
    except (ConfigError, UnpricedError, ValueError) as error:
        notes.print(f"[bold red]error:[/] {error}", soft_wrap=True)
        sys.exit(1)
    if to is not None:
        to.write_text(page.render(found))
        notes.print(f"wrote {to}")
    if as_json:
        click.echo(json.dumps(found if compare else found[stack], indent=2))
    elif compare:
        _comparison(found)
    else:
        _lines(stack, found[stack])
    _warnings(found)
    if not all(one["budget"]["fits"] for one in found.values()):
        sys.exit(OVER_BUDGET)


def _cost(stack: str) -> dict[str, Any]:
    values = {key: value.text for key, value in StackFile.open(stack).values().items()}
    return cost(StackConfig.parse(values, stack=stack), datetime.now(UTC).date())


def _lines(stack: str, document: dict[str, Any]) -> None:
    table = Table(
        "", box=box.SIMPLE_HEAD, title=f"{stack}: US dollars a month, before tax", pad_edge=False
    )
    for heading in ("quantity", "bought", "on demand", "effective"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part, effective in document["byComponent"].items():
        own = [line for line in document["lines"] if line["component"] == part]
        listed = sum(line["list"] for line in own)
        table.add_row(
            f"[bold]{part}[/]", "", "", f"[bold]{listed:.2f}[/]", f"[bold]{effective:.2f}[/]"
        )
        for line in own:
            table.add_row(
                f"  {line['item']}",
                f"{line['quantity']:g}{UNITS[line['unit']]}",
                line["purchase"],
                f"{line['list']:.2f}",
                f"{line['effective']:.2f}",
            )
    total = document["total"]
    table.add_section()
    table.add_row("total", "", "", f"{total['list']:.2f}", f"[bold]{total['effective']:.2f}[/]")
    screen.print(table)
    assumed = dict.fromkeys(line["assumption"] for line in document["lines"])
    for assumption in filter(None, assumed):
        screen.print(f"[dim]assumed: {assumption}[/]", soft_wrap=True)
    _summary(document)


def _summary(document: dict[str, Any]) -> None:
    budget, per_user = document["budget"], document["perUser"]
    state = "[green]fits[/]" if budget["fits"] else "[bold red]is beyond[/]"
    screen.print(
        f"{state} the budget of {budget['limit']} ({budget['headroomPct']:g} % left; on demand it "
        f"{'fits too' if budget['fitsOnDemand'] else 'would not fit'})"
    )
    screen.print(
        f"{per_user['effective']:.4f} per user at {per_user['users']:,} users, "
        f"{per_user['target']:.3f} at most"
    )
    for choice in document["choices"]:
        screen.print(f"- {choice}", soft_wrap=True)
    if document["basis"] == "equivalent":
        screen.print("[dim]the stack runs on this machine; this is its phase on AWS[/]")


def _comparison(found: dict[str, dict[str, Any]]) -> None:
    table = Table("", box=box.SIMPLE_HEAD, title="US dollars a month, before tax")
    for name in found:
        table.add_column(name, justify="right")
    components = dict.fromkeys(part for one in found.values() for part in one["byComponent"])
    for part in components:
        amounts = [one["byComponent"].get(part) for one in found.values()]
        table.add_row(part, *("" if amount is None else f"{amount:.2f}" for amount in amounts))
    table.add_section()
    rows: dict[str, Callable[[dict[str, Any]], str]] = {
        "total": lambda one: f"[bold]{one['total']['effective']:.2f}[/]",
        "on demand": lambda one: f"{one['total']['list']:.2f}",
        "budget": lambda one: f"{one['budget']['limit']}",
        "left": lambda one: f"{one['budget']['headroomPct']:g} %",
        "users": lambda one: f"{one['perUser']['users']:,}",
        "per user": lambda one: f"{one['perUser']['effective']:.4f}",
    }
    for label, show in rows.items():
        table.add_row(label, *(show(one) for one in found.values()))
    screen.print(table)
    for name, one in found.items():
        for choice in one["choices"]:
            screen.print(f"- {name}: {choice}", soft_wrap=True)


def _warnings(found: dict[str, dict[str, Any]]) -> None:
    stale = sorted({item for one in found.values() for item in one["pricebook"]["stale"]})
    if stale:
        named = ", ".join(stale[:STALE_ITEMS_NAMED]) + (", …" if stale[STALE_ITEMS_NAMED:] else "")
        notes.print(
            f"[yellow]warning:[/] {len(stale)} prices were read more than 180 days ago ({named}); "
            "look them up again and update infra/cost/pricebook.yaml",
            soft_wrap=True,
        )


if __name__ == "__main__":
    command(prog_name="scripts/cost")
