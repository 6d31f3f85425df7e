"""Access to PostgreSQL: pooled connections, transactions with after-commit callbacks, reads.

Where a read goes is decided here and nowhere else, so that later phases change routing only.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from app.errors import Unavailable
from app.metrics import DATABASE_TIMEOUTS, DATABASE_WAIT_SECONDS
from app.settings import Settings

Connection: TypeAlias = psycopg.Connection[DictRow]

OPEN_TIMEOUT = 30.0  # seconds to wait for PostgreSQL at the start
CHECKOUT_TIMEOUT = 10.0  # seconds to wait for a free connection

log = structlog.get_logger(__name__)


class Transaction:
    """A unit of work: what it wrote is committed as a whole, then its callbacks run."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._callbacks: list[Callable[[], None]] = []

    def on_commit(self, fn: Callable[[], None]) -> None:
        """Runs `fn` after the commit and never after a rollback. Its failure is only logged."""
        self._callbacks.append(fn)

    def committed(self) -> None:
        for fn in self._callbacks:
            try:
                fn()
            except Exception:
                # The data is safe already; the caller must not take the commit for failed.
                log.exception("on_commit callback failed")


class Database:
    """Connections of one process. Thread-safe; open it after forking, close it at the end."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """Connects and waits until PostgreSQL answers; raises Unavailable after 30 s."""
        url = settings.database_url.get_secret_value()
        pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            connection_class=psycopg.Connection[DictRow],
            kwargs={"row_factory": dict_row, "application_name": "etcetera", "connect_timeout": 5},
            min_size=1,
            max_size=settings.database_pool,
            timeout=CHECKOUT_TIMEOUT,
            reconnect_timeout=OPEN_TIMEOUT,
            configure=_configure,
            check=_check,
            reset=_reset,
            open=False,
            name="primary",
        )
        pool.open()
        try:
            pool.wait(OPEN_TIMEOUT)
        except PoolTimeout:
            pool.close()
            where = conninfo_to_dict(url)
            raise Unavailable(
                f"PostgreSQL at {where.get('host')}:{where.get('port', 5432)} did not answer in"
                f" {OPEN_TIMEOUT:.0f} s; check that it runs and that DATABASE_URL is right"
            ) from None
        return cls(pool)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commits at the end of the block and then runs the callbacks; rolls back on an error."""
        with self._checked_out() as conn:
            tx = Transaction(conn)
            with conn.transaction():
                yield tx
        tx.committed()

    @contextmanager
    def read(
        self, *, fresh: bool = False, timeout: float = CHECKOUT_TIMEOUT
    ) -> Iterator[Connection]:
        """A read-only connection. `fresh` asks for the primary: decisions and read-your-writes.

        Raises PoolTimeout, an OperationalError, when none comes free within `timeout` seconds.
        """
        del fresh  # one server until phase 2
        with self._checked_out(timeout) as conn:
            conn.read_only = True
            yield conn

    @contextmanager
    def _checked_out(self, timeout: float = CHECKOUT_TIMEOUT) -> Iterator[Connection]:
        """A pooled connection, with the wait for it measured."""
        began = time.monotonic()
        try:
            conn = self._pool.getconn(timeout)
        except PoolTimeout:
            DATABASE_TIMEOUTS.inc()
            raise
        finally:
            DATABASE_WAIT_SECONDS.observe(time.monotonic() - began)
        try:
            with conn:
                yield conn
        finally:
            self._pool.putconn(conn)

    def stats(self) -> dict[str, int]:
        """Figures of the pool, as psycopg_pool names them (`pool_size`, `requests_waiting`...)."""
        return self._pool.get_stats()

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _configure(conn: Connection) -> None:
    conn.execute("SET TIME ZONE 'UTC'")
    # A lost worker or a wild query must not hold its locks for ever.
    conn.execute("SET statement_timeout = '15s'")
    conn.execute("SET idle_in_transaction_session_timeout = '60s'")
    conn.commit()


def _check(conn: Connection) -> None:
    """An idle connection has nothing to read, unless the server has closed it: no round trip."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    if poll.poll(0):
        ConnectionPool.check_connection(conn)


def _reset(conn: Connection) -> None:
    conn.read_only = None
