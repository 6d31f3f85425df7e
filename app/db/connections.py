"""What a connection is, how its loss shows, and what is asked of it beside the caller's queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import DictRow
from psycopg_pool import PoolTimeout

from app.db.servers import ANY
from app.repository import load

Connection: TypeAlias = psycopg.Connection[DictRow]

T = TypeVar("T")
SQL = load("replication")
_SHUTDOWNS = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)


class ServerLost(psycopg.OperationalError):
    """The server went away, or is no primary any more. A transaction has not happened, or nobody
    knows whether it has. It says nothing about what was asked: ask again."""


class ReplicaLost(ServerLost):
    """A replica failed while it was read from. Other servers may answer."""


LOST = (ServerLost, PoolTimeout)
"""The errors that are no fault of whoever asked."""


@contextmanager
def using(conn: Connection) -> Iterator[Connection]:
    """Ends what was begun on a pooled connection. Raises ServerLost when its server went away."""
    try:
        with conn:
            yield conn
    except psycopg.OperationalError as error:
        if conn.closed or isinstance(error, _SHUTDOWNS):
            raise ServerLost(str(error).strip()) from error
        raise


def written(conn: Connection) -> int:
    """A position past everything that is committed; ANY if the primary was lost just now."""
    try:
        return int(_outside(conn, SQL.written))
    except psycopg.OperationalError:
        return ANY


def replayed(conn: Connection) -> int | None:
    """The position up to which a replica shows what was committed; None on a primary."""
    position: int | None = _outside(conn, SQL.replayed)
    return position


def _outside(conn: Connection, query: Callable[[Connection], T]) -> T:
    """What a query says outside of any transaction: one round trip."""
    conn.autocommit = True
    try:
        return query(conn)
    finally:
        if not conn.closed:
            conn.autocommit = False
