"""What running one name needs: its folder, files and environment, and waiting without polling."""

import enum
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from infra.local import procfs
from infra.local.children import Children
from infra.local.errors import LocalError
from infra.local.privileges import unprivileged
from infra.local.spec import CommandSpec
from infra.local.store import Store, write_atomically


class Event(enum.Enum):
    DIED = "died"
    WOKEN = "woken"
    TIMEOUT = "timeout"


class Alarm:
    """Lets one thread sleep until a process dies, another thread wakes it, or time passes."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def wake(self) -> None:
        os.eventfd_write(self._descriptor, 1)

    def close(self) -> None:
        os.close(self._descriptor)

    def sleep(self, seconds: float, pid: int = 0) -> Event:
        """Waits for the first of the three. Without `pid`, no death is awaited."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        process = -1
        if pid:
            try:
                process = os.pidfd_open(pid)
            except ProcessLookupError:
                return Event.DIED
            poll.register(process, select.POLLIN)
        try:
            ready = {descriptor for descriptor, _ in poll.poll(max(0, seconds) * 1000)}
        finally:
            if process >= 0:
                os.close(process)
        if process in ready:
            return Event.DIED
        if self._descriptor in ready:
            os.eventfd_read(self._descriptor)
            return Event.WOKEN
        return Event.TIMEOUT


class Workshop:
    """The folder of one process or task, and the ways to run something in it."""

    def __init__(self, store: Store, name: str, children: Children) -> None:
        self.folder = store.folder(name)
        self.log = store.log(name)
        self._children = children

    def fill(self, text: str, staging: Path | None = None) -> str:
        text = text.replace("{folder}", str(self.folder))
        return text if staging is None else text.replace("{staging}", str(staging))

    def write_files(self, files: Mapping[str, str], before: Sequence[str]) -> bool:
        """Brings the folder's files up to date; True when that changed one of them."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        changed = False
        for stale in set(before) - files.keys():
            (self.folder / stale).unlink(missing_ok=True)
            changed = True
        for relative, content in files.items():
            path, text = self.folder / relative, self.fill(content)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.is_file() or path.read_text() != text:
                write_atomically(path, text)
                changed = True
        return changed

    def spawn(
        self,
        spec: CommandSpec,
        command: Sequence[str],
        *,
        staging: Path | None = None,
        digest: str | None = None,
        quiet: bool = False,
    ) -> "subprocess.Popen[bytes]":
        """Starts a command in the folder; `digest` marks it as the folder's main process."""
        argv = [self.fill(word, staging) for word in command]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            **{key: self.fill(value) for key, value in spec.environment.items()},
            procfs.FOLDER_MARKER: str(self.folder),
        }
        if digest:
            environment[procfs.DIGEST_MARKER] = digest
        if spec.user_namespace:
            argv = unprivileged(argv)
        log = Path(os.devnull) if quiet else self.log
        return self._children.spawn(argv, self.folder, environment, log)

    def execute(
        self,
        spec: CommandSpec,
        command: Sequence[str],
        timeout: float,
        *,
        alarm: Alarm,
        interrupted: Callable[[], bool],
        staging: Path | None = None,
    ) -> int:
        """Runs a command to its end and returns its exit status.

        It is killed after `timeout` seconds, or when the alarm wakes us and `interrupted` says
        so; both raise `LocalError`.
        """
        child = self.spawn(spec, command, staging=staging)
        deadline = time.monotonic() + timeout
        event = Event.WOKEN
        while event is Event.WOKEN and not interrupted():
            event = alarm.sleep(deadline - time.monotonic(), child.pid)
        if event is not Event.DIED:
            _kill_session(child.pid)
        status = self._children.wait(child)
        if event is Event.WOKEN:
            raise LocalError("interrupted")
        if event is Event.TIMEOUT:
            raise LocalError(f"{command[0]} did not end within {timeout:g} s")
        return status

    def probe(self, spec: CommandSpec, command: Sequence[str], timeout: float) -> int:
        """Runs a short command, its output thrown away; killed after `timeout` seconds."""
        child = self.spawn(spec, command, quiet=True)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill_session(child.pid)
        return self._children.wait(child)

    def wait(self, child: "subprocess.Popen[bytes]") -> int:
        return self._children.wait(child)


def _kill_session(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def explain(status: int | None) -> str:
    """An exit status in words; None is that of a process we did not start."""
    if status is None:
        return "ended"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


class Backoff:
    """The pause before the next start: short at first, doubling while starts keep failing."""

    FIRST, LONGEST, STABLE_AFTER = 0.1, 30.0, 30.0

    def __init__(self) -> None:
        self._next = self.FIRST
        self._began = time.monotonic()

    def started(self) -> None:
        self._began = time.monotonic()

    def reset(self) -> None:
        self._next = self.FIRST

    def pause(self) -> float:
        """Seconds to wait now. A process that lived long enough starts again at once."""
        if time.monotonic() - self._began > self.STABLE_AFTER:
            self.reset()
        pause, self._next = self._next, min(self._next * 2, self.LONGEST)
        return pause
