"""Asks a server over and over where it stands, and cuts our connections when it does not answer."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import structlog
from psycopg import pq

from app.db.servers import Sample, Servers
from app.db.sockets import SOCKETS
from app.repository import load

log = structlog.get_logger(__name__)

QUESTION: bytes = load("replication").standing.sql.encode()

ASK_SECONDS = 0.025  # between two questions while there are reads
SEARCH_SECONDS = 0.1  # while there is no primary
IDLE_ASK_SECONDS = 0.5
# A server that answers nothing for so long hangs. A busy one answers this in milliseconds.
SILENCE_SECONDS = 2.0
CONNECT_SECONDS = 2  # the least that libpq allows
RETRY_SECONDS = 0.2


class Silence(psycopg.OperationalError):
    """The server took the question and does not answer."""


class Watch(threading.Thread):
    """Watches one server, over a connection of its own. `found` is called when it takes writes."""

    def __init__(
        self, name: str, conninfo: str, servers: Servers, found: Callable[[], None]
    ) -> None:
        super().__init__(name=f"watch-{name}", daemon=True)
        self._server = name
        self._conninfo = conninfo
        self._servers = servers
        self._found = found
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()
        self._servers.awake.set()

    def run(self) -> None:
        while not self._closed.is_set():
            try:
                with closing(self._connect()) as conn:
                    while not self._closed.is_set():
                        self._take_in(ask(conn))
                        self._pause()
            except (Silence, psycopg.errors.ConnectionTimeout):
                self._servers.lost(self._server)
                if severed := SOCKETS.sever(self._server):
                    log.warning("server hangs", server=self._server, connections=severed)
            except psycopg.OperationalError as error:
                self._servers.lost(self._server)
                log.debug("server not watched", server=self._server, error=str(error).strip())
            except Exception:
                self._servers.lost(self._server)
                log.exception("watch failed", server=self._server)
            self._closed.wait(RETRY_SECONDS)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._conninfo,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="etcetera watch",
        )

    def _take_in(self, sample: Sample) -> None:
        if self._servers.answered(self._server, sample):
            self._found()
        elif severed := SOCKETS.sever(self._server, writers_only=True):
            log.warning("server is no primary", server=self._server, connections=severed)

    def _pause(self) -> None:
        self._servers.doze()
        if self._servers.awake.is_set():
            self._closed.wait(ASK_SECONDS)
        elif self._servers.primary is None:
            self._closed.wait(SEARCH_SECONDS)
        else:
            self._servers.awake.wait(IDLE_ASK_SECONDS)


def ask(conn: psycopg.Connection, seconds: float = SILENCE_SECONDS) -> Sample:
    """Where the server stands. Raises Silence after `seconds`, OperationalError when it is lost."""
    # Below psycopg's cursors, which would wait for ever.
    server = conn.pgconn
    readable = select.poll()
    readable.register(server.socket, select.POLLIN)
    asked = time.monotonic()
    server.send_query(QUESTION)
    results = []
    while True:
        while server.is_busy():
            left = asked + seconds - time.monotonic()
            if not readable.poll(max(0.0, left) * 1000):
                raise Silence(f"no answer in {seconds} s")
            server.consume_input()
        result = server.get_result()
        if result is None:
            break
        results.append(result)
    if not results or results[-1].status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError(server.get_error_message())
    position, timeline = (int(results[-1].get_value(0, column) or 0) for column in (0, 1))
    return Sample(asked, time.monotonic(), position, timeline)
