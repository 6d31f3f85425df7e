"""Pools of connections, and what is true of every connection in them."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TypeAlias

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from app.db.connections import Connection
from app.db.sockets import SOCKETS
from app.db.watch import CONNECT_SECONDS

Pool: TypeAlias = "ConnectionPool[Connection]"

OPEN_TIMEOUT = 30.0  # seconds to wait for PostgreSQL at the start
CHECKOUT_TIMEOUT = 10.0  # seconds to wait for a free connection
IDLE_SECONDS = 60.0  # what a replica took over for another is not kept for long
_OPTIONS = {"row_factory": dict_row, "application_name": "etcetera"}


def alone(conninfo: str, size: int) -> Pool:
    """The connections to a server that has no others beside it; tries for long to get them."""
    return ConnectionPool(
        conninfo,
        connection_class=psycopg.Connection[DictRow],
        kwargs=_OPTIONS | {"connect_timeout": 5},
        min_size=1,
        max_size=size,
        timeout=CHECKOUT_TIMEOUT,
        reconnect_timeout=OPEN_TIMEOUT,
        configure=_configure,
        check=_check,
        open=False,
        name="primary",
    )


def writers(conninfo: Callable[[], str], size: int) -> Pool:
    """The connections to whichever server is the primary."""
    return _watched(conninfo, "primary", size, writes=True)


def readers(conninfo: str, name: str, size: int) -> Pool:
    """The connections to one server, for reading."""
    return _watched(conninfo, name, size, writes=False)


def _watched(conninfo: str | Callable[[], str], name: str, size: int, *, writes: bool) -> Pool:
    def configure(conn: Connection) -> None:
        SOCKETS.keep(conn, writes=writes)
        _configure(conn)

    return ConnectionPool(
        conninfo,
        connection_class=psycopg.Connection[DictRow],
        kwargs=_OPTIONS | {"connect_timeout": CONNECT_SECONDS},
        min_size=0,
        max_size=size,
        timeout=CHECKOUT_TIMEOUT,
        max_idle=600.0 if writes else IDLE_SECONDS,
        # The pool's own patience doubles its pauses. Who watches the servers knows better when to
        # try again.
        reconnect_timeout=0,
        num_workers=3 if writes else 1,
        configure=configure,
        check=_check,
        open=False,
        name=name,
    )


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
