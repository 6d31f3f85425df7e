"""Waking up when a job is put: LISTEN on a connection of one's own, with a poll as the fallback."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg
import structlog
from psycopg.sql import SQL, Identifier

from app.db import watched
from app.models import Lane

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""The longest sleep, for when a notification got lost with its connection."""

_SHORTEST = 0.02  # a due job that another worker is just taking must not make us spin


def pause(next_due: float | None) -> float:
    """How long to sleep when nothing could be leased and something is due in `next_due` seconds."""
    return POLL_SECONDS if next_due is None else min(POLL_SECONDS, max(_SHORTEST, next_due))


def listen(url: str, lane: Lane) -> psycopg.Connection:
    """A connection that hears about new jobs of a lane. Raises psycopg.OperationalError."""
    conn = watched(
        psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=3,
            application_name="etcetera wakeup",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
        )
    )
    conn.execute(SQL("LISTEN {}").format(Identifier(f"jobs_{lane}")))
    return conn


def hear(conn: psycopg.Connection, seconds: float) -> bool:
    """Sleeps until a job was put, at most `seconds`. Raises psycopg.OperationalError."""
    heard = False
    for _ in conn.notifies(timeout=seconds, stop_after=1):
        heard = True
    return heard


class Wakeup:
    """Sleeps that end early when a job of a lane is put. For one thread.

    Survives the loss of PostgreSQL.
    """

    def __init__(self, url: str, lane: Lane) -> None:
        self._url = url
        self._lane = lane
        self._conn: psycopg.Connection | None = None

    def wait(self, seconds: float) -> None:
        """Sleeps at most `seconds`; not at all after (re)connecting, as something may be due."""
        if self._conn is None:
            self._connect(seconds)
            return
        try:
            hear(self._conn, seconds)
        except psycopg.OperationalError as error:
            log.warning("wake-up connection lost; polling", error=str(error).strip())
            self.close()

    def _connect(self, seconds: float) -> None:
        try:
            self._conn = listen(self._url, self._lane)
        except psycopg.OperationalError:
            time.sleep(seconds)

    def close(self) -> None:
        if self._conn is not None:
            with suppress(psycopg.Error):
                self._conn.close()
            self._conn = None
