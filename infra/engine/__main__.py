"""`scripts/pulumi` where the Pulumi CLI is not installed: its everyday commands, local target."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec

import click
import pulumi
from rich.console import Console
from rich.table import Table

from infra.config import PROJECT, ConfigError, StackConfig
from infra.engine import deploy, program, report, review, stackfile
from infra.engine.stackfile import StackFile, Value
from infra.local import operations
from infra.local.errors import LocalError
from infra.stack import Stack

P = ParamSpec("P")
# Progress goes to standard error, so that what is asked for can be piped.
screen = Console(stderr=True, highlight=False)


def with_stack(command: Callable[P, None]) -> Callable[P, None]:
    return click.option(
        "-s",
        "--stack",
        "stack_name",
        envvar="PULUMI_STACK",
        required=True,
        help="The stack's name, such as phase1 (or set PULUMI_STACK).",
    )(command)


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turns what is worded for people into a message and exit code 1, as the CLI does."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (ConfigError, LocalError, pulumi.RunError) as error:
            screen.print(f"[bold red]error:[/] {report.plain(str(error))}", soft_wrap=True)
            sys.exit(1)

    return run


@click.group(
    help=__doc__,
    epilog="Examples:  scripts/pulumi up --stack phase1 --yes  |  "
    "scripts/pulumi stack output --stack phase1 --json",
)
def cli() -> None:
    os.chdir(Path(__file__).parents[2])


@cli.command(
    help="Show what `up` would change; changes nothing. Of a stack on AWS, without credentials: "
    "its resources, cost and policy findings; exit code 1 if it should not be deployed like that."
)
@with_stack
@click.option("--expect-no-changes", is_flag=True, help="Exit with 1 if there are changes.")
@click.option("--compare", help="A stack on AWS to start from: what would be made, changed, lost.")
@click.option("--offline", is_flag=True, help="For a stack on AWS, even where the CLI is there.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print a stack on AWS as JSON.")
@explained
def preview(
    stack_name: str,
    expect_no_changes: bool,
    compare: str | None,
    offline: bool,  # noqa: ARG001 - read by scripts/pulumi
    as_json: bool,
) -> None:
    if _on_aws(stack_name):
        found = review.review(stack_name, datetime.now(UTC).date(), compare)
        if as_json:
            report.as_json(found.as_dict())
        else:
            report.review(Console(highlight=False), found)
        sys.exit(found.blocks)
    if compare or as_json:
        raise ConfigError(f"--compare and --json are for stacks on AWS; {stack_name} is local")
    steps = _plan(stack_name)
    report.plan(screen, stack_name, steps)
    if expect_no_changes and any(step.verb != "same" for step in steps):
        raise LocalError("there are changes, and none were expected")


@cli.command(help="Deploy the stack, or change it to what the program now says.")
@with_stack
@click.option("-y", "--yes", is_flag=True, help="Do not ask before changing something.")
@click.option("-f", "--skip-preview", is_flag=True, help="Do not list the changes before.")
@click.option("--timings", is_flag=True, help="Print when each resource began and was ready.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print the timings as JSON.")
@explained
def up(stack_name: str, yes: bool, skip_preview: bool, timings: bool, as_json: bool) -> None:
    root = _stack(stack_name).local.root
    # The plan is made in any case: it refuses wrong input before anything changes.
    steps = _plan(stack_name)
    if not skip_preview:
        report.plan(screen, stack_name, steps)
    if not yes and any(step.verb != "same" for step in steps):
        _confirm("Do you want to perform this update?")
    with report.live(screen) as progress:
        monitor = deploy.UpMonitor(progress.started, progress.ended)
        _run(monitor, stack_name, preview=False)
        deploy.remove(root, deploy.undeclared(root, monitor), progress.started, progress.ended)
        timeline = monitor.timeline()
    report.outputs(screen, monitor.outputs)
    report.summary(screen, progress)
    if as_json:
        report.as_json(timeline.as_dict())
    elif timings:
        timeline.show(screen)


@cli.command(help="Compare what should run with what does; changes nothing (local keeps no state).")
@with_stack
@click.option("-y", "--yes", is_flag=True, help="Accepted for the CLI's sake.")
@explained
def refresh(stack_name: str, yes: bool) -> None:  # noqa: ARG001
    root = _stack(stack_name).local.root
    report.drift(
        screen,
        {
            entry.name: operations.read(entry.type, entry.name, root)
            for entry in operations.entries(root)
        },
    )


@cli.command(help="Stop and remove everything of the stack, its data included.")
@with_stack
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--leftovers", is_flag=True, hidden=True, help="After the CLI: what it left here.")
@explained
def destroy(stack_name: str, yes: bool, leftovers: bool) -> None:
    if leftovers and _on_aws(stack_name):
        return  # nothing of it is on this machine
    root = _stack(stack_name).local.root
    entries = list(reversed(operations.entries(root)))
    if entries:
        report.plan(
            screen,
            stack_name,
            [deploy.Step("delete", entry.type, entry.name) for entry in entries],
        )
        if not yes:
            _confirm(f"This removes all data of {stack_name}. Do you want to destroy it?")
    with report.live(screen) as progress:
        deploy.remove(root, entries, progress.started, progress.ended)
    report.summary(screen, progress)


@cli.group(help="Stacks and their outputs.")
def stack() -> None:
    pass


@stack.command(name="output", help="Print the stack's outputs, or the one named.")
@with_stack
@click.argument("name", required=False)
@click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--show-secrets", is_flag=True, help="Print secrets in plain text.")
@explained
def stack_output(stack_name: str, name: str | None, as_json: bool, show_secrets: bool) -> None:
    _stack(stack_name).local  # noqa: B018 - refused for a stack that runs elsewhere
    monitor = deploy.ReadMonitor()
    program.run(monitor, stack_name, _config(stack_name), preview=False, program=program.reading)
    outputs = report.visible(monitor.outputs, show_secrets=show_secrets)
    if name is not None and name not in outputs:
        raise LocalError(
            f"stack {stack_name} has no output {name}; it has {', '.join(sorted(outputs))}"
        )
    if as_json:
        report.as_json(outputs if name is None else outputs[name])
    elif name is None:
        report.table(outputs)
    else:
        report.single(outputs[name])


@stack.command(name="ls", help="List the stacks.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON.")
@explained
def stack_ls(as_json: bool) -> None:
    rows = [{"name": name, "resourceCount": _count(name)} for name in stackfile.names()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("NAME", "RESOURCES", box=None)
    for row in rows:
        count = row["resourceCount"]
        table.add_row(str(row["name"]), "n/a" if count is None else str(count))
    Console().print(table)


def _count(name: str) -> int | None:
    """Resources of a stack; None for one whose state only the CLI can read."""
    return None if _on_aws(name) else len(operations.entries(_stack(name).local.root))


@stack.command(name="init", help="Make a new stack file; set its phase next.")
@click.argument("name")
@explained
def stack_init(name: str) -> None:
    StackFile.create(name)
    screen.print(
        f"Created stacks/Pulumi.{name}.yaml. Next: scripts/pulumi config set phase 1 --stack {name}"
    )


@stack.command(name="rm", help="Remove the file of a stack that has been destroyed.")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@explained
def stack_rm(name: str, yes: bool) -> None:
    file = StackFile.open(name)
    if _count(name):
        raise LocalError(f"stack {name} still has resources; run: scripts/pulumi destroy -s {name}")
    if not yes:
        _confirm(f"This removes {file.path.name}. Do you want to go on?")
    file.delete()


@cli.group(help="A stack's configuration.")
def config() -> None:
    pass


@config.command(name="set", help="Set a value; without one, it is read from standard input.")
@with_stack
@click.argument("key")
@click.argument("value", required=False)
@click.option("--secret", is_flag=True, help="Encrypt it in the stack file.")
@explained
def config_set(stack_name: str, key: str, value: str | None, secret: bool) -> None:
    file = StackFile.open(stack_name)
    text = value if value is not None else click.prompt("value", hide_input=secret, err=True)
    file.set(key, Value(text, secret))


@config.command(name="get", help="Print a value.")
@with_stack
@click.argument("key")
@explained
def config_get(stack_name: str, key: str) -> None:
    values = StackFile.open(stack_name).values()
    full = key if ":" in key else f"{PROJECT}:{key}"
    if full not in values:
        raise ConfigError(f"{full} is not set in stack {stack_name}")
    click.echo(values[full].text)


@config.command(name="rm", help="Remove a value.")
@with_stack
@click.argument("key")
@explained
def config_rm(stack_name: str, key: str) -> None:
    StackFile.open(stack_name).remove(key)


def _on_aws(name: str) -> bool:
    return _stack(name).config.target == "aws"


def _stack(name: str) -> Stack:
    return Stack(name, StackConfig.parse(_config(name), stack=name))


@cache
def _config(name: str) -> dict[str, str]:
    """Read once a command: deriving the key of the secrets takes a moment on purpose."""
    return {key: value.text for key, value in StackFile.open(name).values().items()}


def _plan(stack_name: str) -> list[deploy.Step]:
    monitor = deploy.PreviewMonitor()
    with screen.status("previewing"):
        _run(monitor, stack_name, preview=True)
    root = _stack(stack_name).local.root
    removed = [
        deploy.Step("delete", entry.type, entry.name) for entry in deploy.undeclared(root, monitor)
    ]
    return [*monitor.steps, *removed]


def _run(monitor: program.Monitor, stack_name: str, *, preview: bool) -> None:
    program.run(monitor, stack_name, _config(stack_name), preview=preview)


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise LocalError("there is nobody to ask; pass --yes to go on")
    if not click.confirm(question, err=True):
        raise LocalError("cancelled; nothing was changed")


if __name__ == "__main__":
    cli(prog_name="scripts/pulumi")
