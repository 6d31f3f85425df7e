"""Each PostgreSQL server of the stack, asked by itself: how it does, and how far it is behind."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from app.db import Connection
from app.repository import load

T = TypeVar("T")
SQL = load("monitor")

CONNECT_SECONDS = 2
ANSWER_SECONDS = 2.0
CATCH_UP_SECONDS = 5.0


class Server:
    """A server, or the primary wherever it is. Never raises for its sake; not thread-safe."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: Connection | None = None
        where = conninfo_to_dict(url)
        self.name = f"{where.get('host', 'localhost')}:{where.get('port', 5432)}"

    def ask(
        self, question: Callable[[Connection], T], *, within: float = ANSWER_SECONDS
    ) -> T | None:
        """The answer, or None when the server does not give one in time."""
        try:
            conn = self._connected()
            with severed_after(within, conn):
                return question(conn)
        except psycopg.Error:
            self.close()
            return None

    def close(self) -> None:
        if self._conn is not None:
            with suppress(psycopg.Error):
                self._conn.close()
            self._conn = None

    def _connected(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._conn = psycopg.Connection[DictRow].connect(
                self._url,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=CONNECT_SECONDS,
                application_name="etcetera-monitor",
            )
        return self._conn


@contextmanager
def severed_after(seconds: float, conn: Connection) -> Iterator[None]:
    """Cuts the connection when the block takes longer: a server that hangs says nothing, ever."""

    def sever() -> None:
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    descriptor = conn.fileno()
    timer = threading.Timer(seconds, sever)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def figures(server: Server) -> Mapping[str, float] | None:
    """What `monitor.sql` says of a server, `primary` as 1 or 0."""
    row = server.ask(SQL.server)
    if row is None:
        return None
    values = dict(row)
    return {"primary": float(not values.pop("replica")), **values}


class Lags:
    """How far each replica is behind, in the time it takes to have what the primary has now."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._servers = [Server(url) for url in urls]
        self._threads = ThreadPoolExecutor(max(1, len(urls)), thread_name_prefix="lag")

    def measure(self) -> list[tuple[str, float]]:
        """Seconds by server. One that is behind is waited for, and counts for CATCH_UP_SECONDS
        when it does not catch up in that time.

        Replicas that do not answer, and all while there is no primary, are left out.
        """
        for primary in self._servers:
            position = primary.ask(SQL.written)
            if position is not None:
                break
        else:
            return []
        began = time.monotonic()
        replicas = [server for server in self._servers if server is not primary]
        # Whoever was primary is most likely still: asked first, the next time.
        self._servers = [primary, *replicas]
        waiting = [
            (replica.name, self._threads.submit(_caught_up, replica, position, began))
            for replica in replicas
        ]
        found = [(name, future.result()) for name, future in waiting]
        return [(name, seconds) for name, seconds in found if seconds is not None]

    def close(self) -> None:
        self._threads.shutdown()
        for server in self._servers:
            server.close()


def _caught_up(replica: Server, position: int, began: float) -> float | None:
    def wait(conn: Connection) -> float | None:
        while (replayed := SQL.replayed(conn)) is not None:
            took = time.monotonic() - began
            if replayed >= position or took >= CATCH_UP_SECONDS:
                return took
            time.sleep(min(0.05, took / 10))
        return None

    return replica.ask(wait, within=CATCH_UP_SECONDS + ANSWER_SECONDS)
