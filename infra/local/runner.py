"""What every kind of runner shares: one thread that brings one name to what is wanted of it."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

from infra.local import procfs
from infra.local.children import Children
from infra.local.errors import LocalError
from infra.local.procfs import Seen
from infra.local.store import Record, Status, Store, now
from infra.local.workshop import Alarm, Workshop


class Runner(ABC):
    """Converges one name in a thread of its own, until it is told to stop or has nothing to do.

    A subclass never raises out of `converge` for what the machine does (ports, disks, programs):
    that becomes the status' `last_error` and another try.
    """

    def __init__(self, store: Store, name: str, children: Children) -> None:
        self.store = store
        self.name = name
        self.alarm = Alarm()
        self.workshop = Workshop(store, name, children)
        self.status = store.status(name) or Status(state="new")
        self._record: Record | None = None
        self._stopping = False
        self._removing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def busy(self) -> bool:
        return self._thread.is_alive()

    @property
    def removing(self) -> bool:
        return self._removing

    def want(self, record: Record) -> None:
        """Tells what is wanted from now on."""
        if self._record != record:
            self._record = record
            self.alarm.wake()

    def look_again(self) -> None:
        """What it depends on besides its record, such as the size of its pool, has changed."""
        self.alarm.wake()

    def stop(self) -> None:
        """Asks to end the process and keep its data."""
        self._stopping = True
        self.alarm.wake()

    def remove(self) -> None:
        """Asks to end the process and remove all it left."""
        if not self._removing:
            self._removing = True
            self.alarm.wake()

    def start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def join(self) -> None:
        self._thread.join()
        self.alarm.close()

    def meet(self, everyone: Collection[Seen]) -> None:  # noqa: B027 (not every kind cares)
        """Learns whom its process has started, from a look at all processes."""

    @abstractmethod
    def converge(self) -> None:
        """Works until `halted`, or until nothing is left to do."""

    @abstractmethod
    def halt(self) -> None:
        """Ends what runs."""

    @property
    def halted(self) -> bool:
        return self._stopping or self._removing

    @property
    def recorded(self) -> bool:
        return self._record is not None

    @property
    def record(self) -> Record:
        assert self._record is not None, "a runner without a record only removes"  # noqa: S101
        return self._record

    def show(self, state: str, **changes: Any) -> None:
        """Writes the status. A disk that is full must not take the processes down with it."""
        since = self.status.since if state == self.status.state else now()
        self.status = replace(self.status, state=state, since=since, **changes)
        try:
            self.store.put_status(self.name, self.status)
        except LocalError as error:
            log(f"{self.name}: {error}")

    def _run(self) -> None:
        try:
            if not self.halted:
                self.converge()
            if self.halted:
                self.halt()
            if self._removing:
                procfs.end(self.workshop.folder)
                self._vanish()
        except (LocalError, OSError) as error:
            log(f"{self.name}: {error}")

    def _vanish(self) -> None:
        with self.store.locked():
            self.store.forget(self.name)
            record = self.store.get(self.name)
            if record is not None and record.removed:
                self.store.remove(self.name)


_printing = threading.Lock()


def log(message: str) -> None:
    """A line in the supervisor's own log."""
    with _printing, suppress(OSError):  # the disk may be full
        print(now(), message, flush=True)  # noqa: T201
