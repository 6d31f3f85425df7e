"""What the job tests share: jobs to put, a table that records effects, workers as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.db import Database, Transaction
from app.jobs.queue import put
from app.jobs.worker import Handler, Worker
from app.models import Job, Lane, Priority
from app.settings import Settings

PATIENCE = 60
"""Seconds to wait for what comes by itself; generous, for a machine that has much else to do."""


@dataclass(frozen=True)
class Do:
    """A handler without preparation."""

    effect: Callable[[Transaction, Job], None]

    def prepare(self, job: Job) -> None:
        """Nothing."""

    def apply(self, tx: Transaction, job: Job, prepared: None) -> None:
        del prepared
        self.effect(tx, job)


def create_effects(database: Database) -> None:
    """A table without any uniqueness, so that an effect that happened twice shows."""
    with database.transaction() as tx:
        tx.conn.execute("CREATE TABLE effects (n serial, key text, by text, at timestamptz)")


def record(tx: Transaction, job: Job) -> None:
    tx.conn.execute(
        "INSERT INTO effects (key, by, at) VALUES (%s, %s, clock_timestamp())",
        (job.key, job.leased_by),
    )


def effects(database: Database) -> list[str]:
    """Keys of the jobs in the order of their effects."""
    with database.read() as conn:
        return [row["key"] for row in conn.execute("SELECT key FROM effects ORDER BY n")]


def add(
    database: Database,
    key: str,
    *,
    kind: str = "test",
    priority: Priority = Priority.NORMAL,
    delay: float = 0,
    waited: float = 0,
    payload: Mapping[str, Any] | None = None,
) -> bool:
    """Puts a job; `waited` makes it due since that many seconds."""
    with database.transaction() as tx:
        return put(
            tx,
            kind=kind,
            key=key,
            payload=payload or {},
            priority=priority,
            delay=timedelta(seconds=delay - waited),
        )


def states(database: Database) -> dict[str, str]:
    with database.read() as conn:
        return {row["key"]: row["state"] for row in conn.execute("SELECT key, state FROM jobs")}


def job_row(database: Database, key: str) -> dict[str, Any]:
    with database.read() as conn:
        row = conn.execute("SELECT * FROM jobs WHERE key = %s", (key,)).fetchone()
    assert row is not None
    return row


def expire_leases(database: Database) -> None:
    with database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET lease_until = now() WHERE state = 'leased'")


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Waits for a condition; the limit is for a machine that is busy, not a claim about speed."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


def wake(database: Database) -> None:
    """Ends the sleep of workers and relays, which may last a second."""
    with database.transaction() as tx:
        for lane in Lane:
            tx.conn.execute("SELECT pg_notify(%s, '')", (f"jobs_{lane}",))


@contextmanager
def running(
    database: Database, settings: Settings, handlers: Mapping[str, Handler]
) -> Iterator[threading.Event]:
    """A worker in a thread of the test; setting the event drains it."""
    stop = threading.Event()
    thread = threading.Thread(target=Worker(database, handlers, settings).run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        wake(database)
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process with the handlers of worker_process.py, killed at the end."""
    env = {
        name.upper(): _text(value)
        for name, value in settings.model_dump(
            exclude_defaults=True, exclude={"replica_urls", "bluesky_couriers"}
        ).items()
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.jobs.worker_process"],
        env={"PATH": os.environ["PATH"], **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()


def _text(value: Any) -> str:
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


class Switch:
    """A TCP proxy whose target can be cut off and replaced: a Redis that dies and comes back."""

    def __init__(self, target: int | None) -> None:
        self.target = target
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks all connections and refuses new ones until there is a target."""
        self.target = None
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def close(self) -> None:
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if self.target is None:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
