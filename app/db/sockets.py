"""Ends connections from outside the threads that wait for an answer on them.

A server that hangs, or a machine that is gone, leaves its clients waiting: the kernel keeps the
connection alive. Shutting the socket down makes whoever waits fail at once, as if the server had
closed it.
"""

from __future__ import annotations

import os
import socket
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

C = TypeVar("C", bound="psycopg.Connection[Any]")


@dataclass(frozen=True, eq=False)
class _Kept:
    handle: socket.socket
    """A duplicate, so that closing the connection meanwhile cannot make us hit another one."""
    writes: bool


class Sockets:
    """The connections of this process, by server. Thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[str, set[_Kept]] = {}
        # A connection may be collected, and then forgotten, while this very thread holds it.
        self._guard = threading.RLock()

    def keep(self, conn: C, *, writes: bool = True) -> C:
        """Remembers a connection for as long as it exists."""
        kept = _Kept(socket.socket(fileno=os.dup(conn.fileno())), writes)
        name = f"{conn.info.host}:{conn.info.port}"
        with self._guard:
            self._kept.setdefault(name, set()).add(kept)
        weakref.finalize(conn, self._forget, name, kept)
        return conn

    def sever(self, name: str, *, writers_only: bool = False) -> int:
        """Ends the connections to a server; returns how many there were."""
        severed = 0
        with self._guard:
            for kept in list(self._kept.get(name, ())):
                if kept.writes or not writers_only:
                    with suppress(OSError):  # closed already
                        kept.handle.shutdown(socket.SHUT_RDWR)
                        severed += 1
        return severed

    def _forget(self, name: str, kept: _Kept) -> None:
        with self._guard:
            self._kept[name].discard(kept)
        kept.handle.close()


SOCKETS = Sockets()
"""Of this process."""


def watched(conn: C) -> C:
    """Lets a connection of one's own end when its server hangs or is no primary any more."""
    return SOCKETS.keep(conn)
