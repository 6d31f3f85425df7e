"""The worker: runs the handlers of leased jobs and settles them; its lanes do so side by side.

A handler's effect is in the transaction that also finishes its job. SIGTERM drains: nothing more is
leased, running jobs end, and what has not ended in time goes back for others to do.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from random import random
from typing import Any, Protocol

import psycopg
import structlog

from app import metrics
from app.clock import utcnow
from app.db import LOST, Database, Transaction
from app.errors import Reject, Retry
from app.jobs.crew import Crew
from app.jobs.dispatch import DirectSource, Relay, Source, StreamSource
from app.jobs.policy import MAX_ATTEMPTS, backoff
from app.jobs.queue import LeaseLost, Queue, finish
from app.jobs.streams import Streams
from app.models import Job, Lane
from app.settings import Settings

log = structlog.get_logger(__name__)

_LOST_PAUSE = timedelta(seconds=0.5)  # before a job goes on whose database connection was lost


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
    """Runs jobs until told to stop: effects in threads of their own, replies in others.

    Replies wait for Bluesky; whatever it does, the effects of mentions are committed at once.
    """

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
        self._patience = settings.drain_seconds
        self._running: dict[tuple[int, int], Job] = {}
        self._guard = threading.Lock()
        self._relay = self._open_relay(settings)
        self._crews = (
            self._crew(Lane.EFFECTS, self._effects(settings), settings.worker_threads),
            self._crew(Lane.REPLIES, self._direct(Lane.REPLIES, settings), settings.reply_threads),
        )

    def _crew(self, lane: Lane, source: Source, threads: int) -> Crew:
        work = partial(self._work, lane)
        return Crew(lane, source, threads, work=work, release=self._give_back)

    def _direct(self, lane: Lane, settings: Settings) -> DirectSource:
        url = settings.database_url.get_secret_value()
        return DirectSource(lane, self._queue, url, self.name, self._lease_seconds)

    def _effects(self, settings: Settings) -> Source:
        direct = self._direct(Lane.EFFECTS, settings)
        if settings.redis_url is None:
            return direct
        streams = Streams(settings.redis_url.get_secret_value())
        return StreamSource(streams, direct, self._queue, self.name, self._lease_seconds)

    def _open_relay(self, settings: Settings) -> Relay | None:
        if settings.redis_url is None:
            return None
        streams = Streams(settings.redis_url.get_secret_value())
        return Relay(self._database, settings.database_url.get_secret_value(), streams)

    def run(self, stop: threading.Event) -> bool:
        """Works until `stop` is set, then returns when the last started job has ended.

        False when some have not in time: their leases are given back, so what their threads do
        still cannot be committed, and the process should end.
        """
        log.info("worker started", worker=self.name)
        done = threading.Event()
        heart = threading.Thread(target=self._extend_leases, args=(done,), name="leases")
        heart.start()
        if self._relay:
            self._relay.start()
        try:
            with ThreadPoolExecutor(len(self._crews), thread_name_prefix="crew") as executor:
                ends = [executor.submit(crew.run, stop, self._patience) for crew in self._crews]
                outcomes = [end.result() for end in ends]
        finally:
            done.set()
            heart.join()
            if self._relay:
                self._relay.stop()
                self._relay.join(timeout=5)
        drained = all(outcomes)
        if not drained:
            with self._guard:
                unfinished = list(self._running.values())
            log.warning("jobs have not ended in time", jobs=[job.id for job in unfinished])
            self._give_back(unfinished)
        log.info("worker stopped", worker=self.name)
        return drained

    def _give_back(self, jobs: list[Job]) -> None:
        try:
            self._queue.release(jobs, self.name)
        except psycopg.OperationalError:
            log.warning("leases not given back; they run out", jobs=[job.id for job in jobs])

    def _work(self, lane: Lane, job: Job) -> None:
        started = time.monotonic()
        wait = max(0.0, (utcnow() - job.run_at).total_seconds())
        outcome = "lost"
        error: str | None = None
        with self._guard:
            self._running[job.id, job.attempts] = job
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
        self._report(lane, job, outcome, error, wait, time.monotonic() - started)

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
            except LOST as lost:
                # A failover is no failure of the job. Should it be done after all, nothing is left
                # to postpone, and that is a lost lease.
                self._queue.retry(job, str(lost), after=_LOST_PAUSE, failed=False)
                return "postponed", str(lost)
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
        self,
        lane: Lane,
        job: Job,
        outcome: str,
        error: str | None,
        wait: float,
        seconds: float,
    ) -> None:
        priority = job.priority.name.lower()
        total = max(0.0, (utcnow() - job.created_at).total_seconds())
        metrics.JOBS.labels(kind=job.kind, outcome=outcome).inc()
        metrics.JOB_WAIT_SECONDS.labels(lane=lane, priority=priority).observe(wait)
        if outcome == "done":
            metrics.JOB_SECONDS.labels(lane=lane, priority=priority).observe(total)
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

    def _extend_leases(self, done: threading.Event) -> None:
        """Keeps the leases of jobs that take long, also while draining."""
        while not done.wait(self._lease_seconds / 3):
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
