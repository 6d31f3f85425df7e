"""What is known about the servers: which is the primary, and how far behind it the replicas are.

A position is a place in the write-ahead log, in bytes since the cluster was made: what a commit
wrote lies before the position it leaves behind, and a replica shows it once it has replayed that
far. A replica's lag is for how long the primary has been seen at a position that the replica has
not replayed; so it needs no clock but ours, and a replica that has everything has no lag, also
while the primary is away.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from app.metrics import REPLICA_FRESH, REPLICA_LAG

log = structlog.get_logger(__name__)

ANY: Final = 0
"""Position for reads that any fresh replica may answer."""
LATEST: Final = -1
"""For reads that need everything the primary is known to have had, some 30 ms ago at most."""
PRIMARY: Final = 2**63 - 1
"""For reads that the primary answers: no replica ever gets there."""

MAX_LAG = 0.1  # seconds: beyond, a replica is not read from ...
CAUGHT_UP = 0.02  # ... until it is this close again
# What was answered longer ago says nothing any more. Also what bounds how many reads meet a
# server that hangs: the next ones go elsewhere.
VALID_SECONDS = 0.25
# Replicas serve alone while there is no primary, but not for ever: it may be us who are cut off.
BLIND_SECONDS = 60.0
HISTORY = 4096  # positions; at 40 a second the last hundred seconds
# Without reads, servers are asked now and then only.
IDLE_SECONDS = 5.0
# Servers that answered so recently are tried first when the primary is looked for.
ALIVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A server's answer. Times are monotonic seconds."""

    asked: float
    answered: float
    position: int
    timeline: int = 0
    """Of a server that takes writes: rises with each promotion. 0 on a replica."""


class History:
    """Positions of the primary, and when each was first seen."""

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._times: list[float] = []
        self.seen = float("-inf")
        """When the primary last answered."""

    @property
    def newest(self) -> int:
        return self._positions[-1] if self._positions else PRIMARY

    def add(self, position: int, at: float) -> None:
        self.seen = at
        if self._positions and position <= self._positions[-1]:
            return
        self._positions.append(position)
        self._times.append(at)
        if len(self._positions) > HISTORY:
            del self._positions[: HISTORY // 2], self._times[: HISTORY // 2]

    def lag(self, position: int, at: float) -> float:
        """For how many seconds before `at` a server at this position lacks something.

        At most what the history covers, about a minute.
        """
        lacking = bisect_right(self._positions, position)
        if lacking == len(self._positions):
            return 0.0
        return max(0.0, at - self._times[lacking])


class Server:
    """One server, as far as it is known."""

    def __init__(self, name: str, *, readable: bool) -> None:
        self.name = name
        """host:port"""
        self.readable = readable
        self.position = ANY
        self.timeline = 0
        self.answered = float("-inf")
        self.lag = 0.0
        self.fresh = False
        """Caught up, when it last answered."""
        self.in_use = 0
        """Reads on it now."""


class Servers:
    """All servers of a cluster. Thread-safe; what reading needs takes no lock."""

    def __init__(self, names: Iterable[str], readable: Container[str]) -> None:
        self._servers = {name: Server(name, readable=name in readable) for name in names}
        self._readable = tuple(server for server in self._servers.values() if server.readable)
        self._history = History()
        self._guard = threading.Lock()
        self._turn = 0
        self._read_at = float("-inf")
        self.primary: str | None = None
        self._timeline = 0  # the highest seen
        self.awake = threading.Event()
        """Set while there are reads, for which the servers must be asked often."""

    # -- what they answer ------------------------------------------------------------------------

    def answered(self, name: str, sample: Sample) -> bool:
        """Takes in an answer. False where nothing may be written: a replica, or a primary that
        does not know yet that another was promoted."""
        with self._guard:
            server = self._servers[name]
            server.position, server.timeline = sample.position, sample.timeline
            server.answered = sample.answered
            if sample.timeline and sample.timeline >= self._timeline:
                self._lead(server, sample)
                return True
            if self.primary == name:
                self.primary = None
            if sample.timeline:  # replicas() leaves it out
                REPLICA_FRESH.labels(server=name).set(0)
            else:
                self._judge(server, self._history.lag(sample.position, sample.asked))
            return False

    def lost(self, name: str) -> None:
        """It does not answer: no reads there until it does."""
        with self._guard:
            server = self._servers[name]
            server.answered = float("-inf")
            if server.fresh:
                log.warning("server lost", server=name)
            server.fresh = False
            REPLICA_FRESH.labels(server=name).set(0)
            if self.primary == name:
                self.primary = None

    def _lead(self, server: Server, sample: Sample) -> None:
        # The same timeline under another name is the same server by another address.
        if self.primary is None or sample.timeline > self._timeline:
            log.info("primary found", server=server.name, timeline=sample.timeline)
            self.primary = server.name
        if sample.timeline > self._timeline:
            # What the primary before wrote last may be lost; its positions mean nothing any more.
            self._timeline, self._history = sample.timeline, History()
        self._history.add(sample.position, sample.answered)
        self._judge(server, 0.0)

    def _judge(self, server: Server, lag: float) -> None:
        fresh = lag <= (MAX_LAG if server.fresh else CAUGHT_UP)
        if fresh != server.fresh:
            log.info("server is fresh" if fresh else "server lags", server=server.name, lag=lag)
        server.lag, server.fresh = lag, fresh
        REPLICA_LAG.labels(server=server.name).set(lag)
        REPLICA_FRESH.labels(server=server.name).set(fresh)

    # -- what reads ask --------------------------------------------------------------------------

    def replicas(self) -> list[Server]:
        """Replicas to read from, the least busy first; none after a time without reads."""
        now = time.monotonic()
        self._read_at = now
        if not self.awake.is_set():
            self.awake.set()
            return []
        if now - self._history.seen > BLIND_SECONDS:
            return []
        found = [
            server
            for server in self._readable
            if server.fresh and not server.timeline and now - server.answered < VALID_SECONDS
        ]
        if len(found) > 1:
            self._turn += 1
            turn = self._turn % len(found)
            found = found[turn:] + found[:turn]
            found.sort(key=lambda server: server.in_use)
        return found

    @property
    def newest(self) -> int:
        """The primary's position when it last answered; PRIMARY before it ever did."""
        return self._history.newest

    def doze(self) -> None:
        """Ends the time of frequent questions when nobody has read for a while."""
        if time.monotonic() - self._read_at > IDLE_SECONDS:
            self.awake.clear()

    def taken(self, server: Server, by: int) -> None:
        with self._guard:
            server.in_use += by

    # -- where to write --------------------------------------------------------------------------

    def worth_trying(self, names: Sequence[str]) -> Sequence[str]:
        """Where among `names` to look for the primary: only there, if it is known."""
        primary = self.primary
        if primary is not None and primary in names:
            return [primary]
        # One that hangs would hold up the search.
        recently = time.monotonic() - ALIVE_SECONDS
        return [name for name in names if self._servers[name].answered > recently] or names
