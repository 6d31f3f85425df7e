"""A stack folder of real processes, checked after every test to have left nothing behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import operations, procfs
from infra.local.order import last_first
from infra.local.store import Store
from infra.local.supervisor import watched
from tests.servers import free_port

__all__ = ["HASTY", "PROCESS", "SECRET", "TASK", "Stack", "eventually", "free_port"]

PROCESS, TASK, SECRET = "local:index:Process", "local:index:Task", "local:index:Secret"

PATIENCE = 60
"""Seconds; generous, for a machine that has much else to do. What works does not wait for it."""
HASTY = {"intervalSeconds": 1, "failures": 5}
"""Finds out soon that a process hangs, and takes none for hung that is only slow for a while."""


def eventually(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Returns when it holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.01)


class Stack:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root)

    def process(self, name: str, *command: str, **inputs: Any) -> dict[str, Any]:
        """Ensures a process; without a command it sleeps."""
        argv = list(command) or ["sleep", "1000"]
        return operations.ensure(PROCESS, name, {"root": str(self.root), "command": argv, **inputs})

    def task(self, name: str, script: str, **inputs: Any) -> dict[str, Any]:
        argv = ["sh", "-c", script]
        return operations.ensure(TASK, name, {"root": str(self.root), "command": argv, **inputs})

    def server(self, name: str, port: int, **inputs: Any) -> dict[str, Any]:
        """Ensures a small HTTP server."""
        inputs = {
            "ports": [port],
            "ready": {"http": f"http://127.0.0.1:{port}/"},
            "stop": {"timeoutSeconds": 1},
            **inputs,
        }
        argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
        return self.process(name, *argv, **inputs)

    def read(self, name: str, type_: str = PROCESS) -> dict[str, Any]:
        found = operations.read(type_, name, self.root)
        assert found is not None
        return found

    def log(self, name: str) -> str:
        return self.store.log(name).read_text()

    def supervisor(self) -> int:
        eventually(self.store.supervisor_lock.read_text)  # one that just starts is about to write
        return int(self.store.supervisor_lock.read_text().split()[0])

    def kill_supervisor(self) -> None:
        os.kill(self.supervisor(), signal.SIGKILL)
        eventually(lambda: not watched(self.store))

    def destroy(self) -> None:
        entries = {entry.name: entry for entry in operations.entries(self.root)}
        last_first(
            {name: entry.needs for name, entry in entries.items()},
            lambda name: operations.delete(entries[name].type, name, self.root),
        )

    def processes(self) -> list[int]:
        """All processes that belong to any folder of the stack."""
        mine = str(self.root)
        return [
            seen.pid
            for seen in procfs.everybody()
            if not seen.zombie
            and (
                procfs.marks(seen.pid).get(procfs.FOLDER_MARKER, "").startswith(mine)
                or _works_in(seen.pid, mine)
            )
        ]


def _works_in(pid: int, folder: str) -> bool:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink()).startswith(folder)
    except OSError:
        return False


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "stack")
    yield stack
    stack.destroy()
    assert not stack.root.exists()
    assert stack.processes() == []
