"""One daemon per stack folder that keeps what is wanted there running.

    python -m infra.local.supervisor ROOT

It watches `desired/` and gives each name a runner. It ends by itself when nothing is left to
watch over. Killed, it leaves its processes running, and the next one adopts them. On SIGTERM it
stops everything, nothing before what may need it, and keeps what is wanted for the next time.
"""

import fcntl
import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self

from infra.local import logs, procfs
from infra.local.children import Children
from infra.local.errors import LocalError
from infra.local.order import last_first, older
from infra.local.process import ProcessRunner
from infra.local.runner import Runner, log
from infra.local.spec import ProcessSpec, TaskSpec
from infra.local.store import Record, Store
from infra.local.task import TaskRunner, settled

POLL_SECONDS = 0.1
CHORES_SECONDS = 1.0


class Supervisor:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._children = Children()
        self._runners: dict[str, Runner] = {}
        self._sizes: dict[str, str] = {}
        # Set by a signal, so not guarded by a lock that the interrupted code may hold.
        self._terminated = False

    def run(self) -> None:
        """Works until nothing is left to do, or until SIGTERM. Needs the supervisor's lock."""
        self._children.become_subreaper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heed)
        log(f"supervisor {os.getpid()} watches {self._store.root}")
        chores, seen = 0.0, 0
        while not self._terminated:
            due = time.monotonic() - chores > CHORES_SECONDS
            try:
                news = self._store.desired.stat().st_mtime_ns
                finished = not all(runner.busy for runner in self._runners.values())
                if (due or finished or news != seen) and self._converge() and self._dissolved():
                    return
                seen = news
                self._notice_sizes()
            except (LocalError, OSError) as error:
                log(str(error))
                if not self._store.root.exists():
                    break  # somebody deleted the stack's folder: nothing may outlive it
            if due:
                self._do_chores()
                chores = time.monotonic()
            # Often, since whoever watches over such a process takes it for alive until then.
            self._children.reap_orphans()
            time.sleep(POLL_SECONDS)
        self._stop_everything()

    def _heed(self, *_: object) -> None:
        self._terminated = True

    def _notice_sizes(self) -> None:
        sizes = self._store.sizes()
        if sizes != self._sizes:
            self._sizes = sizes
            for runner in self._runners.values():
                runner.look_again()

    def _converge(self) -> bool:
        """Hands out what is wanted. True when nothing is left to watch over."""
        records = {record.name: record for record in self._store.records()}
        for name, runner in list(self._runners.items()):
            if not runner.busy:
                runner.join()
                del self._runners[name]
        for record in records.values():
            self._hand_out(record)
        for name in self._store.traces() - records.keys():
            self._remove(name, None)
        return not self._runners and all(map(self._at_rest, records.values()))

    def _hand_out(self, record: Record) -> None:
        if record.removed:
            self._remove(record.name, record)
            return
        runner = self._runners.get(record.name)
        if runner is None and not self._at_rest(record):
            runner = self._runners[record.name] = self._runner(record.name, record)
        if runner is not None and not runner.removing:
            runner.want(record)
            runner.start()

    def _remove(self, name: str, record: Record | None) -> None:
        runner = self._runners.get(name)
        if runner is None:
            runner = self._runners[name] = self._runner(name, record)
        runner.remove()
        runner.start()

    def _runner(self, name: str, record: Record | None) -> Runner:
        kind = TaskRunner if record and record.type == TaskSpec.type else ProcessRunner
        runner = kind(self._store, name, self._children)
        if record:
            runner.want(record)
        return runner

    def _at_rest(self, record: Record) -> bool:
        """Whether the record needs nobody to watch over it."""
        if record.removed or record.type == ProcessSpec.type:
            return False
        if record.type == TaskSpec.type:
            return settled(record, self._store.status(record.name))
        return True

    def _dissolved(self) -> bool:
        """Decides to end, unless something has been asked for meanwhile."""
        with self._store.locked():
            if not self._converge():
                return False
            self._children.end_orphans()
            self._store.dissolve()
            release()
            return True

    def _do_chores(self) -> None:
        everyone = procfs.everybody()
        for name, runner in self._runners.items():
            runner.meet(everyone)
            with suppress(OSError):
                logs.rotate(self._store.log(name))
        with suppress(OSError):
            logs.rotate(self._store.supervisor_log)

    def _stop_everything(self) -> None:
        log("told to stop")
        needs = older(self._store.records())

        def stop(name: str) -> None:
            runner = self._runners[name]
            runner.stop()
            runner.join()

        last_first({name: needs.get(name, ()) for name in self._runners}, stop)
        self._children.end_orphans()


_END_SECONDS = 5
"""What a supervisor needs at most to end once its stack is gone."""

_held: list[int] = []


def release() -> None:
    while _held:
        os.close(_held.pop())


def _hold(store: Store) -> bool:
    """Takes the lock that makes a supervisor the only one; held until the process ends."""
    for _ in range(25):  # who only looks whether it is held, holds it for a moment
        try:
            descriptor = os.open(store.supervisor_lock, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return False  # the stack is gone meanwhile
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if store.supervisor_lock.stat().st_ino == os.fstat(descriptor).st_ino:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()} {_edition()}\n".encode())
                _held.append(descriptor)
                return True
        os.close(descriptor)
        time.sleep(0.02)
    return False


def watched(store: Store) -> bool:
    """Whether a supervisor lives."""
    try:
        descriptor = os.open(store.supervisor_lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class Farewell:
    """Waits for the end of a supervisor whose folder, which tells its pid, goes before it does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._handle: int | None = None

    def __enter__(self) -> Self:
        self.notice()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def notice(self) -> None:
        """Takes note of the supervisor of now, unless one is known."""
        if self._handle is None and watched(self._store):
            with suppress(OSError, ValueError, IndexError):
                pid = int(self._store.supervisor_lock.read_text().split()[0])
                self._handle = os.pidfd_open(pid)

    def wait(self) -> None:
        """Returns when it has ended, or after `_END_SECONDS`."""
        if self._handle is not None:
            select.select([self._handle], [], [], _END_SECONDS)


def summon(store: Store) -> None:
    """Makes sure that a supervisor lives, starting one if needed. Raises `LocalError`.

    One that runs other code than ours, from before an upgrade, is replaced; processes stay.
    """
    if not store.exists() or (watched(store) and not _replaced(store)):
        return
    with _output(store) as output:
        starter = subprocess.Popen(
            [sys.executable, "-m", "infra.local.supervisor", str(store.root)],
            # Nothing of our own environment, which holds secrets of whoever runs the engine.
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
        )
    if starter.wait() != 0:
        raise LocalError(
            f"the supervisor of {store.root} did not start:\n{logs.tail(store.supervisor_log)}"
        )


def _replaced(store: Store) -> bool:
    """Ends a supervisor that runs other code than ours; its processes live on."""
    with store.locked():
        try:
            pid, edition = store.supervisor_lock.read_text().split()
        except (OSError, ValueError):
            return False  # it is just starting or ending
        if edition == _edition() or not watched(store):
            return False
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
        while watched(store):
            time.sleep(0.01)
        return True


@cache
def _edition() -> str:
    """Identifies the code of the local target."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


@contextmanager
def _output(store: Store) -> Iterator[int]:
    try:
        descriptor = os.open(
            store.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise LocalError(f"cannot write {store.supervisor_log}: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def main() -> None:
    store = Store(sys.argv[1])
    ready, report = os.pipe()
    if os.fork() > 0:
        # The starter waits until the daemon has the lock, and leaves it to init.
        os.close(report)
        os._exit(0 if os.read(ready, 1) else 1)
    os.close(ready)
    os.setsid()
    held = _hold(store)
    os.write(report, b".")  # also when another holds it: then that one does the work
    os.close(report)
    if held:
        with store.locked():
            store.clean()
        Supervisor(store).run()


if __name__ == "__main__":
    main()
