"""`scripts/drift`: whether what runs is still what was deployed.

Of a stack on AWS, a refresh by the Pulumi CLI that changes nothing is asked; of a local one, the
provider's registry, which every engine writes. What may differ for a while is listed in
stacks/drift-ignore.yaml, with a reason and a day on which that ends.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import click
import pulumi
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from ruamel.yaml import YAML

from infra.config import ConfigError, StackConfig
from infra.engine.stackfile import FOLDER, StackFile
from infra.local import operations
from infra.local.operations import CALM
from infra.stack import REPOSITORY, Stack

IGNORED = FOLDER / "drift-ignore.yaml"
DRIFTED, FAILED = 1, 2  # exit codes

screen = Console(highlight=False)


class DriftError(Exception):
    """It cannot be told whether a stack has drifted; worded for people."""


@dataclass(frozen=True)
class Drift:
    """A resource that is not as it was deployed. `what` happened, at the paths `keys`."""

    type: str
    name: str
    what: str
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({self.type}) {self.what}" + (
            f": {', '.join(self.keys)}" if self.keys else ""
        )


class Allowance(BaseModel):
    """Lets a property differ until a day. Names are patterns as of a shell; a property stands for
    all within it, and `*` also lets the resource be missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str = "*"
    resource: str
    property: str
    reason: Annotated[str, Field(min_length=10)]
    until: date

    def covers(self, stack: str, name: str, key: str) -> bool:
        return (
            fnmatch(stack, self.stack)
            and fnmatch(name, self.resource)
            and (
                fnmatch(key, self.property)
                or key.startswith((f"{self.property}.", f"{self.property}["))
            )
        )


@dataclass(frozen=True)
class Verdict:
    """What has drifted and is not allowed to, and the allowances that have run out."""

    drifted: tuple[Drift, ...]
    expired: tuple[Allowance, ...]


def of_refresh(document: Mapping[str, Any]) -> list[Drift]:
    """What `pulumi refresh --preview-only --json` found.

    A step that would change the state is a drift: its `detailedDiff` tells the properties, or else
    the outputs before and after.
    """
    return [
        Drift(
            _type(step["urn"]),
            step["urn"].rsplit("::", 1)[-1],
            "is gone" if step["op"] == "delete" else "differs",
            () if step["op"] == "delete" else tuple(sorted(_keys(step))),
        )
        for step in document.get("steps", [])
        if step["op"] not in ("same", "refresh", "read")
    ]


def of_registry(found: Mapping[tuple[str, str], Mapping[str, Any] | None]) -> list[Drift]:
    """What the local provider finds of each resource, by type and name."""
    return [
        Drift(type_, name, "is gone" if state is None else f"is {state.get('state')}", ("state",))
        for (type_, name), state in found.items()
        if state is None or state.get("state", "ready") not in CALM
    ]


def judge(
    stack: str, drifts: Sequence[Drift], allowances: Sequence[Allowance], today: date
) -> Verdict:
    """Leaves out what may differ today."""
    valid = [one for one in allowances if one.until >= today]
    return Verdict(
        tuple(left for one in drifts if (left := _left(stack, one, valid))),
        tuple(one for one in allowances if one.until < today),
    )


def allowances(path: Path = IGNORED) -> list[Allowance]:
    """Reads the list. Raises `DriftError` when it is not one."""
    if not path.exists():
        return []
    document = YAML(typ="safe", pure=True).load(path) or []
    try:
        return TypeAdapter(list[Allowance]).validate_python(document)
    except ValidationError as error:
        raise DriftError(f"{path.name}: {error}") from None


def _left(stack: str, drift: Drift, valid: Sequence[Allowance]) -> Drift | None:
    keys = drift.keys or ("*",)
    left = tuple(
        key for key in keys if not any(one.covers(stack, drift.name, key) for one in valid)
    )
    if not left:
        return None
    return Drift(drift.type, drift.name, drift.what, left if drift.keys else ())


def _keys(step: Mapping[str, Any]) -> Iterator[str]:
    if step.get("detailedDiff"):
        yield from step["detailedDiff"]
        return
    before = (step.get("oldState") or {}).get("outputs") or {}
    after = (step.get("newState") or {}).get("outputs") or {}
    yield from (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def _type(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _refreshed(stack: str) -> list[Drift]:
    """Asks the CLI; its messages go to standard error as they come."""
    if shutil.which("pulumi") is None:
        raise DriftError(
            f"stack {stack} runs on AWS, which needs the Pulumi CLI: "
            "https://www.pulumi.com/docs/install/"
        )
    command = ["scripts/pulumi", "refresh", "--preview-only", "--json", "--stack", stack]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=REPOSITORY)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        raise DriftError(f"`{' '.join(command)}` gave no result: {done.stdout[-2000:]}") from None
    if done.returncode != 0:
        reasons = "; ".join(one.get("message", "") for one in document.get("diagnostics", []))
        raise DriftError(f"`{' '.join(command)}` failed: {reasons or 'see above'}")
    return of_refresh(document)


def _registered(root: Path) -> list[Drift]:
    return of_registry(
        {
            (entry.type, entry.name): operations.read(entry.type, entry.name, root)
            for entry in operations.entries(root)
        }
    )


@click.command(
    help="Compare what runs with what was deployed; changes nothing. Exit code 1: something "
    "differs that stacks/drift-ignore.yaml does not allow for. 2: it could not be told.",
    epilog="Examples:  scripts/drift phase1  |  scripts/drift phase2-aws --json",
)
@click.argument("stack")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print the drifts as JSON.")
def command(stack: str, as_json: bool) -> None:
    try:
        values = {key: one.text for key, one in StackFile.open(stack).values().items()}
        config = StackConfig.parse(values, stack=stack)
        drifts = (
            _refreshed(stack)
            if config.target == "aws"
            else _registered(Stack(stack, config).local.root)
        )
        verdict = judge(stack, drifts, allowances(), datetime.now(UTC).date())
    except (ConfigError, DriftError, pulumi.RunError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(FAILED)
    if as_json:
        rows = [
            {"type": one.type, "name": one.name, "what": one.what, "keys": one.keys}
            for one in verdict.drifted
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        _show(stack, drifts, verdict)
    sys.exit(DRIFTED if verdict.drifted else 0)


def _show(stack: str, drifts: Sequence[Drift], verdict: Verdict) -> None:
    for one in verdict.drifted:
        screen.print(f" [yellow]~[/] {escape(str(one))}", soft_wrap=True)
    for old in verdict.expired:
        screen.print(
            f" [yellow]![/] {IGNORED.name}: {old.resource} {old.property} ran out on "
            f"{old.until.isoformat()} ({escape(old.reason)})",
            soft_wrap=True,
        )
    allowed = len(drifts) - len(verdict.drifted)
    screen.print(
        f"[bold]{stack}[/]: {len(verdict.drifted)} not as deployed"
        + (f", {allowed} that may differ" if allowed else "")
        + ("; `up` repairs them" if verdict.drifted else "")
    )


if __name__ == "__main__":
    command(prog_name="scripts/drift")
