"""The ingest process: reads mentions for as long as it is the one that may.

Any number may run; one reads, and the others stand by to take over when its database session ends.
"""

import threading
import time
from collections.abc import Callable

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout

from app.bot.accounts import Accounts
from app.bot.firehose import Firehose
from app.bot.mailbox import Mailbox
from app.db import Connection, Database, watched
from app.errors import EtceteraError, Reject, Retry
from app.health import PULSE
from app.repository import cursors
from app.settings import Settings

_STANDBY_SECONDS = 1.0
_LONGEST_PAUSE = 30.0
_ALIVE_SECONDS = 90.0
_LEAD_CHECK_SECONDS = 5.0

log = structlog.get_logger(__name__)


def run(settings: Settings, database: Database, stop: threading.Event) -> None:
    """Reads mentions from the configured source until `stop` is set, whatever fails meanwhile."""
    leader = Leader(settings.database_url.get_secret_value())
    mailbox = Mailbox(Accounts.open(settings, database), database)
    firehose = Firehose(settings, mailbox.bot, database, mailbox.catch_up)
    try:
        while leader.wait(stop):
            log.info("reading mentions", source=settings.bluesky_ingest)
            if settings.bluesky_ingest == "firehose":
                lasting(lambda: firehose.run(stop, leader.leads), stop, pause=1.0, leader=leader)
            else:
                lasting(mailbox.poll, stop, pause=settings.bluesky_poll_seconds, leader=leader)
    finally:
        leader.close()
    log.info("ingest stopped")


class Leader:
    """The lock that lets one process read. It is held by a database session of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: Connection | None = None
        self._checked = 0.0

    def wait(self, stop: threading.Event) -> bool:
        """Waits until this process leads; False when `stop` was set first."""
        waiting = False
        while not stop.is_set():
            PULSE.beat("ingest", within=_ALIVE_SECONDS)
            if self._acquire():
                return True
            if not waiting:
                log.info("standing by")
                waiting = True
            stop.wait(_STANDBY_SECONDS)
        return False

    def leads(self) -> bool:
        """Whether the lock is still ours; asks the database every few seconds."""
        if self._conn is None:
            return False
        if time.monotonic() - self._checked < _LEAD_CHECK_SECONDS:
            return True
        try:
            self._conn.execute("SELECT 1")
        except psycopg.Error:
            log.warning("lead lost")
            self.close()
            return False
        self._checked = time.monotonic()
        return True

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _acquire(self) -> bool:
        try:
            if self._conn is None or self._conn.closed:
                self._conn = watched(
                    psycopg.connect(
                        self._url,
                        autocommit=True,
                        row_factory=dict_row,
                        connect_timeout=2,
                        application_name="etcetera ingest lead",
                    )
                )
            self._checked = time.monotonic()
            return cursors.lead(self._conn)
        except psycopg.Error as error:
            log.warning("database is lost; waiting", error=str(error).strip())
            self.close()
            return False


def lasting(
    step: Callable[[], object], stop: threading.Event, *, pause: float, leader: Leader
) -> None:
    """Repeats a step with pauses while leading; failures lengthen the pause and end nothing."""
    failures = 0
    while not stop.is_set() and leader.leads():
        PULSE.beat("ingest", within=_ALIVE_SECONDS)
        wait = pause
        try:
            step()
            failures = 0
        except Retry as error:
            log.warning("mentions cannot be read now", reason=error.reason)
            wait = min(max(error.after.total_seconds(), pause), _LONGEST_PAUSE)
        except (Reject, psycopg.Error, PoolTimeout, EtceteraError) as error:
            failures += 1
            wait = min(pause + 2.0**failures / 2, _LONGEST_PAUSE)
            log.warning("mentions not read", error=str(error).strip(), seconds=wait)
        except Exception:
            failures += 1
            wait = min(pause + 2.0**failures, _LONGEST_PAUSE)
            log.exception("mentions not read", seconds=wait)
        stop.wait(wait)
