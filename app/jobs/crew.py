"""A lane's threads, and the loop that leases jobs for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import random

import psycopg
import structlog

from app.health import PULSE
from app.jobs.dispatch import Source
from app.models import Job, Lane

log = structlog.get_logger(__name__)

_SLOT_SECONDS = 0.5  # how often a crew with all threads busy looks whether it should stop
_LONGEST_OUTAGE_PAUSE = 5.0
_ALIVE_SECONDS = 30.0


class Crew:
    """Does the jobs of one lane; other lanes neither wait for it nor hold it up.

    `work` does a job and never raises. `release` takes back jobs that were leased and not started.
    """

    def __init__(
        self,
        lane: Lane,
        source: Source,
        threads: int,
        *,
        work: Callable[[Job], None],
        release: Callable[[list[Job]], None],
    ) -> None:
        self.lane = lane
        self._source = source
        self._threads = threads
        self._work = work
        self._release = release
        self._slots = threading.Semaphore(threads)

    def run(self, stop: threading.Event, patience: float) -> bool:
        """Works until `stop` is set, then returns when the last started job has ended.

        False when one has not after `patience` seconds; its thread lives on. Sets `stop` itself
        should the loop break: a worker with half its lanes must not live on.
        """
        executor = ThreadPoolExecutor(self._threads, thread_name_prefix=self.lane)
        try:
            self._feed(executor, stop)
        finally:
            stop.set()
            log.info("crew drains", lane=self.lane)
            drained = self._drain(patience)
            executor.shutdown(wait=drained)
            self._source.close()
        return drained

    def _drain(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        return all(
            self._slots.acquire(timeout=max(0.0, deadline - time.monotonic()))
            for _ in range(self._threads)
        )

    def _feed(self, executor: ThreadPoolExecutor, stop: threading.Event) -> None:
        """Leases as many jobs as threads are free; they start at once."""
        outage = 0.0
        while not stop.is_set():
            PULSE.beat(self.lane, within=_ALIVE_SECONDS)
            free = self._take_slots()
            if not free:
                continue
            jobs: list[Job] = []
            try:
                jobs = self._source.take(free)
                if outage:
                    log.info("database is back", lane=self.lane)
                outage = 0.0
            except psycopg.OperationalError as error:
                outage = min(_LONGEST_OUTAGE_PAUSE, outage * 2 or 0.1)
                log.warning(
                    "database is lost; waiting",
                    lane=self.lane,
                    seconds=outage,
                    error=str(error).strip(),
                )
                stop.wait(outage * (0.5 + random() / 2))  # noqa: S311 - jitter
            finally:
                self._free_slots(free - len(jobs))
            if jobs and stop.is_set():
                self._release(jobs)
                self._free_slots(len(jobs))
                return
            for job in jobs:
                executor.submit(self._do, job)

    def _take_slots(self) -> int:
        """Reserves all free threads, waiting a moment for the first."""
        if not self._slots.acquire(timeout=_SLOT_SECONDS):
            return 0
        taken = 1
        while taken < self._threads and self._slots.acquire(blocking=False):
            taken += 1
        return taken

    def _free_slots(self, count: int) -> None:
        for _ in range(count):
            self._slots.release()

    def _do(self, job: Job) -> None:
        try:
            self._work(job)
        finally:
            self._free_slots(1)
