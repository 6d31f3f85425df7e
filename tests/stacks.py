"""Whole stacks for tests: brought up and destroyed through the engine, without a stack file.

`python -m tests.stacks up|destroy ROOT PORT_BASE KEY=VALUE...` does so in a process that can be
killed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.engine import deploy, program
from infra.engine.deploy import Done, Step
from infra.local import operations

STACK = "test"


def up(root: Path, port_base: int, **config: str) -> tuple[dict[str, Any], list[Done]]:
    """Deploys; gives the outputs, secrets in plain text, and what was done."""
    done: list[Done] = []
    monitor = deploy.UpMonitor(_ignore, done.append)
    values = {"dataDir": str(root), "portBase": str(port_base)} | config
    program.run(
        monitor, STACK, {f"etcetera:{key}": value for key, value in values.items()}, preview=False
    )
    deploy.remove(root, deploy.undeclared(root, monitor), _ignore, done.append)
    return monitor.outputs.values, done


def destroy(root: Path) -> None:
    """Removes everything; fine when nothing is there."""
    deploy.remove(root, operations.entries(root), _ignore, lambda _: None)


@contextmanager
def running(root: Path, port_base: int, **config: str) -> Iterator[dict[str, Any]]:
    """A stack that is up, as its outputs; destroyed afterwards."""
    try:
        yield up(root, port_base, **config)[0]
    finally:
        destroy(root)


def pids(root: Path) -> dict[str, int]:
    """The pids of the stack's processes, by name; 0 for one that is not ready."""
    found = {}
    for entry in operations.entries(root):
        if entry.type == "local:index:Process":
            live = operations.read(entry.type, entry.name, root) or {}
            found[entry.name] = int(live["pid"]) if live.get("state") == "ready" else 0
    return found


def changed(done: list[Done]) -> list[str]:
    """What a deployment did, without what it found as it should be."""
    return [f"{d.step.verb} {d.step.name}" for d in done if d.step.verb != "same"]


def _ignore(_: Step) -> None:
    pass


if __name__ == "__main__":
    command, folder, base, *pairs = sys.argv[1:]
    if command == "up":
        up(Path(folder), int(base), **dict(pair.split("=", 1) for pair in pairs))
    else:
        destroy(Path(folder))
