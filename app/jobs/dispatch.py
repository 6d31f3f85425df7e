"""How workers come by jobs: from PostgreSQL directly, or by ids that a relay puts on Redis streams.

Without Redis a worker leases directly and sleeps until it is notified. With Redis one process (any
worker; it holds an advisory lock) relays due ids, and workers lease what they read. Whenever Redis
is lost, hangs or says nothing for half a second, a worker leases directly, so Redis can vanish and
come back empty at any time.

Streams carry effects only. Bluesky's limits allow some tens of replies a minute, for which leasing
directly is no load, so replies never depend on Redis.
"""

from __future__ import annotations

import threading
import time
from itertools import count as counting
from typing import Protocol

import psycopg
import structlog

from app import metrics
from app.db import Database
from app.jobs.policy import LEAST_FIRST
from app.jobs.queries import SQL
from app.jobs.queue import Queue
from app.jobs.streams import Streams
from app.jobs.wakeup import Wakeup, hear, listen, pause
from app.models import Job, Lane, Priority
from app.redis import ERRORS

log = structlog.get_logger(__name__)

WINDOW = 200
"""Ids kept on each stream: few, as those that wait in PostgreSQL still gain urgency."""

REDISPATCH_SECONDS = 10.0
"""An id that nobody leased for this long is put on a stream again."""

_AWAY_SECONDS = 1.0  # how long Redis is left alone after it failed
_SWEEP_SECONDS = 10.0
_BUSY_PAUSE = 0.05  # between two looks while streams are being emptied


class Source(Protocol):
    """Where a worker gets its jobs."""

    def take(self, count: int) -> list[Job]:
        """Up to `count` leased jobs. When there are none it sleeps, 1 s at most, and returns [].

        Raises psycopg.OperationalError when PostgreSQL is lost.
        """

    def close(self) -> None: ...


class DirectSource:
    """Leases jobs of a lane from PostgreSQL."""

    def __init__(
        self, lane: Lane, queue: Queue, url: str, worker: str, lease_seconds: float
    ) -> None:
        self._lane = lane
        self._queue = queue
        self._wakeup = Wakeup(url, lane)
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._turns = counting(1)

    def take(self, count: int) -> list[Job]:
        jobs = self.lease(count)
        if not jobs:
            self._wakeup.wait(pause(self._queue.next_due(self._lane)))
        return jobs

    def lease(self, count: int) -> list[Job]:
        jobs = self._queue.lease(
            self._lane,
            count,
            self._worker,
            self._lease_seconds,
            least_first=next(self._turns) % LEAST_FIRST == 0,
        )
        metrics.LEASED.labels(source="postgres").inc(len(jobs))
        return jobs

    def close(self) -> None:
        self._wakeup.close()


class StreamSource:
    """Leases effects: what the streams say is due, and directly when they say nothing."""

    def __init__(
        self,
        streams: Streams,
        direct: DirectSource,
        queue: Queue,
        worker: str,
        lease_seconds: float,
    ) -> None:
        self._streams = streams
        self._direct = direct
        self._queue = queue
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._lost = threading.Event()
        self._closed = threading.Event()
        self._found_directly = False
        self._turns = counting(1)

    def take(self, count: int) -> list[Job]:
        if self._lost.is_set():
            return self._direct.take(count)
        try:
            entries = self._streams.read(
                count,
                # No waiting while direct leases find jobs: the streams have lost their ids.
                block=not self._found_directly,
                least_first=next(self._turns) % LEAST_FIRST == 0,
            )
        except ERRORS as error:
            self._give_up(error)
            return self._direct.take(count)
        if not entries:
            jobs = self._direct.lease(count)
            self._found_directly = bool(jobs)
            return jobs
        self._found_directly = False
        jobs = self._queue.lease_ids(
            [entry.job for entry in entries], self._worker, self._lease_seconds
        )
        metrics.LEASED.labels(source="streams").inc(len(jobs))
        try:
            self._streams.remove(entries)
        except ERRORS as error:
            self._give_up(error)
        return jobs

    def _give_up(self, error: Exception) -> None:
        log.warning("redis is lost; leasing from PostgreSQL", error=str(error))
        metrics.REDIS_FAILURES.labels(user="worker").inc()
        self._lost.set()
        threading.Thread(target=self._await_return, name="streams-probe", daemon=True).start()

    def _await_return(self) -> None:
        """Asks a server that may hang, so that no job has to wait for it."""
        self._streams.forget()
        while not self._closed.wait(_AWAY_SECONDS):
            try:
                self._streams.ping()
            except ERRORS:
                self._streams.forget()
                continue
            log.info("redis is back; leasing by its streams")
            self._lost.clear()
            return

    def close(self) -> None:
        self._closed.set()
        if not self._lost.is_set():
            self._streams.forget()
        self._direct.close()


class Relay(threading.Thread):
    """Puts ids of due effects on the streams, in whichever process holds the advisory lock."""

    def __init__(self, database: Database, url: str, streams: Streams) -> None:
        super().__init__(name="relay", daemon=True)
        self._database = database
        self._queue = Queue(database)
        self._url = url
        self._streams = streams
        self._stopping = threading.Event()
        self._swept = 0.0

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                # The lock lives and dies with this connection.
                with listen(self._url, Lane.EFFECTS) as conn:
                    self._campaign(conn)
            except psycopg.OperationalError as error:
                log.warning("relay lost its connection", error=str(error).strip())
                self._stopping.wait(1)
            except Exception:
                log.exception("relay failed")
                self._stopping.wait(1)
        self._streams.forget()

    def _campaign(self, conn: psycopg.Connection) -> None:
        while not self._stopping.is_set() and not SQL.lead(conn):
            self._stopping.wait(1)
        if not self._stopping.is_set():
            log.info("relaying jobs to redis")
        while not self._stopping.is_set():
            hear(conn, self._step())

    def _step(self) -> float:
        """Fills the streams once; returns for how long there is nothing to do."""
        try:
            if time.monotonic() - self._swept > _SWEEP_SECONDS:
                self._streams.sweep()
                self._swept = time.monotonic()
            full = [self._fill(level) for level in Priority]
        except ERRORS as error:
            log.debug("relay waits for redis", error=str(error))
            self._streams.forget()
            self._stopping.wait(_AWAY_SECONDS)
            return 0
        return _BUSY_PAUSE if any(full) else pause(self._queue.next_undispatched())

    def _fill(self, level: Priority) -> bool:
        """Tops up a stream that is half empty; True when more may wait than fits."""
        room = WINDOW - self._streams.length(level)
        if room < WINDOW // 2:
            return True
        with self._database.transaction() as tx:
            rows = list(
                SQL.due_for_dispatch(
                    tx.conn, level=int(level), count=room, redispatch=REDISPATCH_SECONDS
                )
            )
        # Committed before they are sent: a worker that reads an id must find its row unlocked.
        ids = [row["id"] for row in sorted(rows, key=lambda row: (row["run_at"], row["id"]))]
        if not ids:
            return False
        try:
            self._streams.add(level, ids)
        except ERRORS:
            with self._database.transaction() as tx:
                SQL.undispatch(tx.conn, ids=ids)
            raise
        metrics.DISPATCHED.labels(stream=level.name.lower()).inc(len(ids))
        return len(ids) == room
