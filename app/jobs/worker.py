"""The worker: takes jobs from a source, runs their handlers in threads, settles them.

A handler's effect is in the transaction that also finishes its job. SIGTERM drains: running jobs
end, nothing more is leased, and what was leased but not started goes back.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from random import random
from typing import Any, Protocol

import psycopg
import structlog

from app import metrics
from app.clock import utcnow
from app.db import Database, Transaction
from app.errors import Reject, Retry
from app.health import PULSE
from app.jobs.dispatch import DirectSource, Relay, Source, StreamSource
from app.jobs.policy import MAX_ATTEMPTS, backoff
from app.jobs.queue import LeaseLost, Queue, finish
from app.jobs.streams import Streams
from app.models import Job
from app.settings import Settings

log = structlog.get_logger(__name__)

_SLOT_SECONDS = 0.5  # how often a worker with all threads busy looks whether it should stop
_LONGEST_OUTAGE_PAUSE = 5.0
_ALIVE_SECONDS = 30.0


class Handler(Protocol):
    """How jobs of one kind are done.

    Both steps may raise Retry and Reject; any other error is a failed attempt. Both happen again
    when a worker dies or its lease is taken over: what `prepare` does outside must be idempotent.
    """

    def prepare(self, job: Job) -> Any:
        """What takes long or needs the network, outside any transaction."""

    def apply(self, tx: Transaction, job: Job, prepared: Any) -> None:
        """The effect, in the transaction that finishes the job."""


class Worker:
    """Runs jobs until told to stop."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        settings: Settings,
        *,
        name: str | None = None,
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._queue = Queue(database)
        self._database = database
        self._handlers = handlers
        self._lease_seconds = settings.lease_seconds
        self._threads = settings.worker_threads
        self._slots = threading.Semaphore(settings.worker_threads)
        self._running: dict[tuple[int, int], Job] = {}
        self._guard = threading.Lock()
        self._source, self._relay = self._open_source(settings)

    def _open_source(self, settings: Settings) -> tuple[Source, Relay | None]:
        url = settings.database_url.get_secret_value()
        direct = DirectSource(self._queue, url, self.name, self._lease_seconds)
        if settings.redis_url is None:
            return direct, None
        redis_url = settings.redis_url.get_secret_value()
        source = StreamSource(
            Streams(redis_url), direct, self._queue, self.name, self._lease_seconds
        )
        return source, Relay(self._database, url, Streams(redis_url))

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then returns when the last started job has ended."""
        log.info("worker started", worker=self.name, threads=self._threads)
        drained = threading.Event()
        heart = threading.Thread(target=self._extend_leases, args=(drained,), name="leases")
        heart.start()
        if self._relay:
            self._relay.start()
        try:
            with ThreadPoolExecutor(self._threads, thread_name_prefix="job") as executor:
                self._feed(executor, stop)
                log.info("worker drains", worker=self.name, running=len(self._running))
        finally:
            drained.set()
            heart.join()
            if self._relay:
                self._relay.stop()
                self._relay.join(timeout=5)
            self._source.close()
        log.info("worker stopped", worker=self.name)

    def _feed(self, executor: ThreadPoolExecutor, stop: threading.Event) -> None:
        """Leases as many jobs as threads are free; they start at once."""
        outage = 0.0
        while not stop.is_set():
            PULSE.beat("worker", within=_ALIVE_SECONDS)
            free = self._take_slots()
            if not free:
                continue
            jobs: list[Job] = []
            try:
                jobs = self._source.take(free)
                if outage:
                    log.info("database is back")
                outage = 0.0
            except psycopg.OperationalError as error:
                outage = min(_LONGEST_OUTAGE_PAUSE, outage * 2 or 0.1)
                log.warning("database is lost; waiting", seconds=outage, error=str(error).strip())
                stop.wait(outage * (0.5 + random() / 2))  # noqa: S311 - jitter
            for _ in range(free - len(jobs)):
                self._slots.release()
            if jobs and stop.is_set():
                self._give_back(jobs)
                return
            for job in jobs:
                with self._guard:
                    self._running[job.id, job.attempts] = job
                executor.submit(self._work, job)

    def _take_slots(self) -> int:
        """Reserves all free threads, waiting a moment for the first."""
        if not self._slots.acquire(timeout=_SLOT_SECONDS):
            return 0
        taken = 1
        while taken < self._threads and self._slots.acquire(blocking=False):
            taken += 1
        return taken

    def _give_back(self, jobs: list[Job]) -> None:
        try:
            self._queue.release(jobs, self.name)
        except psycopg.OperationalError:
            log.warning("leases not given back; they run out", jobs=[job.id for job in jobs])

    def _work(self, job: Job) -> None:
        started = time.monotonic()
        wait = max(0.0, (utcnow() - job.run_at).total_seconds())
        outcome = "lost"
        error: str | None = None
        try:
            outcome, error = self._attempt(job)
        except (LeaseLost, psycopg.OperationalError) as lost:
            # The lease runs out, or already has: somebody does the job again.
            error = str(lost).strip()
        except Exception:
            log.exception("job could not be settled", job=job.id)
        finally:
            with self._guard:
                self._running.pop((job.id, job.attempts), None)
            self._slots.release()
        self._report(job, outcome, error, wait, time.monotonic() - started)

    def _attempt(self, job: Job) -> tuple[str, str | None]:
        """Runs the handler and settles the job; returns the outcome and the error."""
        with structlog.contextvars.bound_contextvars(job=job.id, kind=job.kind):
            try:
                handler = self._handlers.get(job.kind)
                if handler is None:
                    raise Reject(f"no handler for jobs of kind {job.kind!r}")
                prepared = handler.prepare(job)
                with self._database.transaction() as tx:
                    handler.apply(tx, job, prepared)
                    finish(tx, job)
            except LeaseLost:
                raise
            except Retry as wish:
                self._queue.retry(job, wish.reason, after=wish.after, failed=False)
                return "postponed", wish.reason
            except Reject as refusal:
                self._queue.bury(job, refusal.reason)
                return "dead", refusal.reason
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}".strip()
                if job.attempts >= MAX_ATTEMPTS:
                    self._queue.bury(job, error)
                    log.exception("job buried after its last attempt")
                    return "dead", error
                delay = backoff(job.attempts, random())  # noqa: S311 - jitter
                self._queue.retry(job, error, after=delay)
                log.warning("job failed", attempt=job.attempts, exc_info=True)
                return "failed", error
        return "done", None

    def _report(
        self, job: Job, outcome: str, error: str | None, wait: float, seconds: float
    ) -> None:
        priority = job.priority.name.lower()
        total = max(0.0, (utcnow() - job.created_at).total_seconds())
        metrics.JOBS.labels(kind=job.kind, outcome=outcome).inc()
        metrics.JOB_WAIT_SECONDS.labels(priority=priority).observe(wait)
        if outcome == "done":
            metrics.JOB_SECONDS.labels(priority=priority).observe(total)
            metrics.JOB_ATTEMPTS.labels(kind=job.kind).observe(job.attempts)
        log.info(
            "job",
            job=job.id,
            kind=job.kind,
            key=job.key,
            priority=priority,
            outcome=outcome,
            attempt=job.attempts,
            wait=round(wait, 3),
            seconds=round(seconds, 3),
            total=round(total, 3),
            **({"error": error} if error else {}),
        )

    def _extend_leases(self, drained: threading.Event) -> None:
        """Keeps the leases of jobs that take long, also while draining."""
        while not drained.wait(self._lease_seconds / 3):
            with self._guard:
                jobs = list(self._running.values())
            if not jobs:
                continue
            try:
                held = self._queue.extend(jobs, self.name, self._lease_seconds)
            except psycopg.Error as error:
                log.warning("leases not extended", error=str(error).strip())
                continue
            if lost := [job.id for job in jobs if job.id not in held]:
                # Their transactions fail at `finish`; a thread cannot be interrupted.
                log.warning("leases lost", jobs=lost)
