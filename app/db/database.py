"""Where reads and writes go is decided here and nowhere else.

Without replicas there is one pool and nothing to decide. With them, writes go to the primary,
wherever it is just now, and reads to a replica that is fresh enough for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import structlog
from psycopg import errors
from psycopg_pool import PoolTimeout

from app import hosts
from app.db import pools
from app.db.connections import Connection, ServerLost, using, written
from app.db.pools import CHECKOUT_TIMEOUT, OPEN_TIMEOUT, Pool
from app.db.replicas import Replicas
from app.db.servers import ANY, PRIMARY, Servers
from app.db.watch import Watch
from app.errors import Unavailable
from app.metrics import DATABASE_TIMEOUTS, DATABASE_WAIT_SECONDS, READS
from app.settings import Settings

T = TypeVar("T")
log = structlog.get_logger(__name__)

_PRIMARY_READS = READS.labels(role="primary")
_REPLICA_READS = READS.labels(role="replica")


class Transaction:
    """A unit of work: what it wrote is committed as a whole, then its callbacks run."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.position = ANY
        self.wants_position = False
        self._callbacks: list[Callable[[], None]] = []

    def on_commit(self, fn: Callable[[], None]) -> None:
        """Runs `fn` after the commit and never after a rollback. Its failure is only logged."""
        self._callbacks.append(fn)

    def on_commit_at(self, fn: Callable[[int], None]) -> None:
        """As `on_commit`; `fn` gets the position after which replicas show the commit.

        ANY without replicas, and when the server was lost right after the commit.
        """
        self.wants_position = True
        self._callbacks.append(lambda: fn(self.position))

    def committed(self) -> None:
        for fn in self._callbacks:
            try:
                fn()
            except Exception:
                # The data is safe already; the caller must not take the commit for failed.
                log.exception("on_commit callback failed")


class Database:
    """Connections of one process. Thread-safe; open it after forking, close it at the end."""

    def __init__(
        self, primary: Pool, replicas: Replicas | None = None, watches: Sequence[Watch] = ()
    ) -> None:
        self._primary = primary
        self._replicas = replicas
        self._watches = watches

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """Connects and waits until PostgreSQL answers; raises Unavailable after 30 s."""
        url = settings.database_url.get_secret_value()
        replicas = {
            name: conninfo
            for replica in settings.replica_urls
            for name, conninfo in hosts.split(replica.get_secret_value()).items()
        }
        everywhere = hosts.split(url) | replicas
        if len(everywhere) == 1:
            database = cls(pools.alone(url, settings.database_pool))
        else:
            database = cls._routed(url, replicas, everywhere, settings.database_pool)
        try:
            database._start()
        except PoolTimeout:
            database.close()
            raise Unavailable(
                f"PostgreSQL at {', '.join(hosts.names(url))} did not answer in"
                f" {OPEN_TIMEOUT:.0f} s; check that it runs and that DATABASE_URL is right"
            ) from None
        return database

    @classmethod
    def _routed(
        cls, url: str, replicas: dict[str, str], everywhere: dict[str, str], size: int
    ) -> Database:
        servers = Servers(everywhere, readable=replicas)
        written = hosts.names(url)
        primary = pools.writers(lambda: hosts.only(url, servers.worth_trying(written)), size)

        def found() -> None:
            """Gives who waits for the primary a connection, now that one can be had."""
            if primary.get_stats()["requests_waiting"]:
                with suppress(PoolTimeout):
                    primary.putconn(primary.getconn(timeout=0.001))

        watches = [Watch(name, conninfo, servers, found) for name, conninfo in everywhere.items()]
        return cls(primary, Replicas(servers, replicas, size), watches)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commits at the end of the block and then runs the callbacks; rolls back on an error.

        Raises ServerLost, an OperationalError, when the primary goes away or is none any more.
        """
        with self._checked_out() as conn:
            conn.read_only = None
            tx = Transaction(conn)
            try:
                with conn.transaction():
                    yield tx
            except errors.ReadOnlySqlTransaction as error:
                conn.close()  # for another, to the primary
                raise ServerLost("the server takes no writes (any more)") from error
            if tx.wants_position and self._watches:
                tx.position = written(conn)
        tx.committed()

    @contextmanager
    def read(
        self, *, fresh: bool = False, after: int = ANY, timeout: float = CHECKOUT_TIMEOUT
    ) -> Iterator[Connection]:
        """A read-only connection, to a replica where that will do.

        `fresh` asks for the primary: whatever is decided is decided on its data. `after` is a
        position that what is read must not be older than, or LATEST or PRIMARY.

        Raises PoolTimeout, an OperationalError, when none comes free within `timeout` seconds, and
        ServerLost when the server goes away meanwhile.
        """
        taken = None
        if not fresh:
            taken = self._replicas.take(after, timeout) if self._replicas else None
            (_REPLICA_READS if taken else _PRIMARY_READS).inc()
        if self._replicas and taken:
            with self._replicas.reading(*taken) as conn:
                yield conn
        else:
            with self._checked_out(timeout) as conn:
                conn.read_only = True
                yield conn

    def query(
        self,
        load: Callable[[Connection], T],
        *,
        after: int = ANY,
        timeout: float = CHECKOUT_TIMEOUT,
    ) -> T:
        """What `load` finds on a connection of `read`. It must do nothing but read: where a server
        fails meanwhile it is called again, with a connection to another one."""
        for _ in range(len(self._replicas or ())):
            try:
                with self.read(after=after, timeout=timeout) as conn:
                    return load(conn)
            except ServerLost as error:
                log.info("read repeated elsewhere", error=str(error).strip())
        with self.read(after=PRIMARY, timeout=timeout) as conn:
            return load(conn)

    @contextmanager
    def _checked_out(self, timeout: float = CHECKOUT_TIMEOUT) -> Iterator[Connection]:
        """A connection to the primary, with the wait for it measured."""
        began = time.monotonic()
        try:
            conn = self._primary.getconn(timeout)
        except PoolTimeout:
            DATABASE_TIMEOUTS.inc()
            raise
        finally:
            DATABASE_WAIT_SECONDS.observe(time.monotonic() - began)
        try:
            with using(conn):
                yield conn
        finally:
            self._primary.putconn(conn)

    def stats(self) -> dict[str, dict[str, int]]:
        """Figures of each pool, as psycopg_pool names them (`pool_size`, `requests_waiting`...):
        of `primary`, and of the servers that may be read from, by host:port."""
        replicas = self._replicas.stats() if self._replicas else {}
        return {"primary": self._primary.get_stats(), **replicas}

    def _start(self) -> None:
        self._primary.open()
        if self._replicas:
            self._replicas.open()
        for watch in self._watches:
            watch.start()
        if self._watches:
            self._primary.putconn(self._primary.getconn(OPEN_TIMEOUT))
        else:
            self._primary.wait(OPEN_TIMEOUT)

    def close(self) -> None:
        for watch in self._watches:
            watch.close()
        self._primary.close()
        if self._replicas:
            self._replicas.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
