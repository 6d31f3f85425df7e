"""Looks at the queue every second and writes how many workers are wanted.

What it decides is a log line with the figures that made it decide so, and a metric. Without the
database the size stays as it is: nobody knows what is needed, and workers that wait cost little.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import psycopg
import structlog

from app import metrics
from app.autoscaling import signals
from app.autoscaling.policy import Bounds, Decision, Signals, State, decide
from app.autoscaling.size import SizeFile
from app.bot.budget import Limits
from app.db import Database
from app.health import PULSE
from app.settings import Settings

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.0
_ALIVE_SECONDS = 30.0

REQUIRED = (
    "autoscaler_least",
    "autoscaler_most",
    "autoscaler_oldest_seconds",
    "autoscaler_jobs_per_worker",
    "autoscaler_calm_seconds",
    "autoscaler_size_file",
    "metrics_port",
)
"""Settings that this role cannot do without."""


class Controller:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._limits = Limits(settings.bluesky_write_points_hour, settings.bluesky_write_points_day)
        self._accounts = settings.autoscaler_accounts
        self._bounds = Bounds(
            least=settings.autoscaler_least or 0,
            most=settings.autoscaler_most or 0,
            oldest_seconds=settings.autoscaler_oldest_seconds or 0,
            jobs_per_worker=settings.autoscaler_jobs_per_worker or 1,
            calm_seconds=settings.autoscaler_calm_seconds or 0,
        )
        self._file = SizeFile(settings.autoscaler_size_file or Path())
        size = self._file.read()
        self._state = State(self._bounds.least if size is None else size, time.monotonic())
        self._told = ""

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set. The size it leaves behind goes on to count."""
        metrics.AUTOSCALER_WORKERS.labels(kind="least").set(self._bounds.least)
        metrics.AUTOSCALER_WORKERS.labels(kind="most").set(self._bounds.most)
        log.info("autoscaler started", size=self._state.size, **asdict(self._bounds))
        while not stop.is_set():
            PULSE.beat("autoscaler", within=_ALIVE_SECONDS)
            self.step()
            stop.wait(INTERVAL_SECONDS)
        log.info("autoscaler stopped", size=self._state.size)

    def step(self) -> None:
        """Looks, decides and writes once."""
        seen: Signals | None = None
        now = time.monotonic()
        try:
            with self._database.read(fresh=True) as conn:
                seen = signals.read(conn, self._limits, self._accounts)
        except psycopg.Error as error:
            log.debug("database is lost", error=str(error).strip())
            # What happens meanwhile is not known to be calm.
            decision = Decision(replace(self._state, calm_since=now), "keep", "database_lost")
        else:
            decision = decide(self._state, seen, self._bounds, now)
        self._report(decision, seen)
        self._state = decision.state
        self._write(decision.state.size)

    def _report(self, decision: Decision, seen: Signals | None) -> None:
        direction, reason = decision.direction, decision.reason
        metrics.AUTOSCALER_DECISIONS.labels(direction=direction, reason=reason).inc()
        metrics.AUTOSCALER_WORKERS.labels(kind="wanted").set(decision.state.size)
        if direction == "keep" and reason == self._told:
            return
        self._told = reason
        log.info(
            "workers wanted",
            size=decision.state.size,
            before=self._state.size,
            direction=direction,
            reason=reason,
            signals=asdict(seen) if seen else None,
        )

    def _write(self, size: int) -> None:
        """Whatever the file holds now: what somebody else wrote or removed is set right."""
        try:
            if self._file.read() != size:
                self._file.write(size)
        except OSError as error:
            log.error("the size cannot be written", size=size, error=str(error))
