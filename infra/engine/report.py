"""What the engine tells a person: plans, progress, outputs and drift."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.tree import Tree

from infra.engine.deploy import Done, Step
from infra.engine.review import Review
from infra.engine.wire import Properties
from infra.local.operations import CALM
from infra.policy.graph import Graph, Resource

SIGNS = {
    "create": "[green]+[/]",
    "update": "[yellow]~[/]",
    "delete": "[red]-[/]",
    "same": "[dim] [/]",
}
# What another phase changes everywhere.
_EXPECTED = {"tags.phase", "metadata.labels.phase"}
PAST = {"create": "created", "update": "updated", "delete": "deleted", "same": "unchanged"}


def plain(text: str) -> str:
    """Text that shows brackets as they are."""
    return escape(text)


def plan(console: Console, stack_name: str, steps: list[Step]) -> None:
    changes = [step for step in steps if step.verb != "same"]
    unchanged = len(steps) - len(changes)
    console.print(f"[bold]{stack_name}[/]: {len(changes)} to change, {unchanged} unchanged")
    for step in changes:
        keys = f" [dim]({', '.join(step.keys)})[/]" if step.keys else ""
        console.print(f" {SIGNS[step.verb]} {_kind(step)} [bold]{step.name}[/] {step.verb}{keys}")


@dataclass
class Progress:
    """Prints each step as it ends, and meanwhile what is under way."""

    console: Console
    status: Status
    counts: dict[str, int] = field(default_factory=dict)
    begin: float = field(default_factory=time.monotonic)
    _under_way: list[str] = field(default_factory=list)

    def started(self, step: Step) -> None:
        if step.verb != "same":
            self._under_way.append(step.name)
            self._show()

    def ended(self, done: Done) -> None:
        step = done.step
        if step.name in self._under_way:
            self._under_way.remove(step.name)
        self._show()
        if done.error is not None:
            self.console.print(f" [bold red]![/] {_kind(step)} [bold]{step.name}[/] failed")
            return
        self.counts[step.verb] = self.counts.get(step.verb, 0) + 1
        if step.verb != "same":
            self.console.print(
                f" {SIGNS[step.verb]} {_kind(step)} [bold]{step.name}[/] "
                f"{PAST[step.verb]} [dim]({done.seconds:.1f} s)[/]"
            )

    def _show(self) -> None:
        waiting = ", ".join(self._under_way)
        self.status.update(f"working on {waiting}" if waiting else "working")


@contextmanager
def live(console: Console) -> Iterator[Progress]:
    with console.status("working") as status:
        yield Progress(console, status)


def summary(console: Console, progress: Progress) -> None:
    counts = ", ".join(f"{n} {PAST[verb]}" for verb, n in sorted(progress.counts.items()))
    seconds = time.monotonic() - progress.begin
    console.print(f"[bold]Resources:[/] {counts or 'none'}   [bold]Duration:[/] {seconds:.1f} s")


def outputs(console: Console, found: Properties) -> None:
    console.print("[bold]Outputs:[/]")
    for name, value in sorted(visible(found, show_secrets=False).items()):
        console.print(f"    {name}: {plain(_text(value))}", soft_wrap=True)


def visible(found: Properties, *, show_secrets: bool) -> dict[str, Any]:
    """The outputs as the CLI shows them: one with a secret anywhere inside is hidden whole."""
    hidden = {path.split(".")[0].split("[")[0] for path in found.secrets}
    return {
        name: value if show_secrets or name not in hidden else "[secret]"
        for name, value in found.values.items()
    }


def table(outputs: Mapping[str, Any]) -> None:
    """Prints all outputs to standard output, as the CLI lists them."""
    width = max(map(len, outputs), default=0)
    click.echo(f"Current stack outputs ({len(outputs)}):")
    click.echo(f"    {'OUTPUT':{width}}  VALUE")
    for name, value in sorted(outputs.items()):
        click.echo(f"    {name:{width}}  {_text(value)}")


def single(value: Any) -> None:
    """Prints one output to standard output, for use in scripts."""
    click.echo(_text(value))


def as_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def drift(console: Console, found: Mapping[str, Mapping[str, Any] | None]) -> None:
    bad = 0
    for name, state in found.items():
        condition = "missing" if state is None else state.get("state", "ready")
        if condition not in CALM:
            bad += 1
            console.print(f" [yellow]~[/] [bold]{name}[/] is {condition}")
        elif state is not None and state.get("restarts"):
            console.print(
                f" [dim]·[/] [bold]{name}[/] has been restarted {state['restarts']} times"
            )
    console.print(
        f"{len(found)} resources, {bad} not as they should be"
        + ("; `up` repairs them" if bad else "")
    )


def review(console: Console, found: Review) -> None:
    """A stack that is not deployed from here: what it would consist of, cost, and break."""
    console.print(_tree(found.recording.graph))
    if found.comparison is not None:
        _comparison(console, found)
    _cost(console, found.cost)
    for finding in found.findings:
        style = "bold red" if finding.blocks else "yellow"
        state = "excepted" if finding.excepted else str(finding.rule.severity)
        console.print(
            f"[{style}]{state}[/] {plain(finding.rule.name)}: [bold]{finding.resource.name}[/] "
            f"{plain(finding.what)}\n    [dim]{plain(finding.excepted or finding.rule.reason)}. "
            f"{plain(finding.rule.fix)}.[/]",
            soft_wrap=True,
        )
    blocking = sum(finding.blocks for finding in found.findings)
    console.print(
        f"[bold]Policies:[/] {len(found.findings)} findings, {blocking} of them block"
        if found.findings
        else "[bold]Policies:[/] nothing found"
    )


def _tree(graph: Graph) -> Tree:
    """Components with what they consist of; what goes with a name of its own is one line each."""
    managed = [one for one in graph.resources if not one.type.startswith("etcetera:")]
    root = Tree(f"[bold]{graph.stack}[/]: {len(managed) - 1} resources")
    branches = {one.urn: root for one in graph.resources if one.type == "pulumi:pulumi:Stack"}

    def branch(resource: Resource) -> Tree:
        if resource.urn not in branches:
            parent = next((one for one in graph.resources if one.urn == resource.parent), None)
            kind = resource.type.rsplit(":", 1)[-1]
            within = branch(parent) if parent else root
            guard = " [green]protected[/]" if resource.protect else ""
            branches[resource.urn] = within.add(f"[dim]{kind}[/] {resource.name}{guard}")
        return branches[resource.urn]

    for resource in graph.resources:
        branch(resource)
    return root


def _comparison(console: Console, found: Review) -> None:
    comparison = found.comparison
    if comparison is None:
        return
    console.print(
        f"[bold]From {found.against}:[/] {len(comparison.added)} added, "
        f"{len(comparison.removed)} removed, {len(comparison.changed)} changed, "
        f"{len(comparison.replaced)} of them replaced"
    )
    for sign, resources in (("create", comparison.added), ("delete", comparison.removed)):
        for one in resources.values():
            console.print(f" {SIGNS[sign]} [dim]{one.type}[/] {one.name}", soft_wrap=True)
    for change in comparison.changed:
        if set(change.keys) <= _EXPECTED:
            continue
        forced = f" [red]replaced for {', '.join(change.forcing)}[/]" if change.forcing else ""
        console.print(
            f" {SIGNS['update']} [dim]{change.after.type}[/] {change.after.name} "
            f"({plain(', '.join(change.keys))}){forced}",
            soft_wrap=True,
        )
    for loss in found.losses:
        console.print(f"[bold red]error[/] {plain(loss)}", soft_wrap=True)


def _cost(console: Console, cost: Mapping[str, Any]) -> None:
    if not cost:
        console.print("[bold]Cost:[/] the program exports none")
        return
    budget, total = cost["budget"], cost["total"]
    parts = ", ".join(f"{name} {amount:.2f}" for name, amount in cost["byComponent"].items())
    state = "[green]fits[/]" if budget["fits"] else "[bold red]is beyond[/]"
    console.print(
        f"[bold]Cost:[/] {total['effective']:.2f} US dollars a month ({total['list']:.2f} on "
        f"demand), which {state} the budget of {budget['limit']}\n    {parts}",
        soft_wrap=True,
    )
    for choice in cost["choices"]:
        console.print(f"    {plain(choice)}", soft_wrap=True)


def _kind(step: Step) -> str:
    return f"[dim]{step.type.rsplit(':', 1)[-1].lower():8}[/]"
