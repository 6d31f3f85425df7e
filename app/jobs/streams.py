"""Ids of due effects on three Redis streams, one for each urgency.

Only ids travel, and losing them costs nothing: PostgreSQL knows what is due. The keys share a hash
tag, so a cluster keeps them on one shard: one call can read all three, and waits for no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import redis

from app.models import Priority
from app.redis import connect_to

BLOCK_SECONDS = 0.5
"""How long `read` waits for an id: also how soon a worker asks PostgreSQL instead."""

_TIMEOUT = BLOCK_SECONDS + 0.3
_GROUP = "workers"
# One name for all: which worker read an entry does not matter, and none is left behind by a crash.
_CONSUMER = "worker"
_FORGOTTEN_MS = 10_000  # an entry read this long ago and not removed: its reader died
_LONGEST = 10_000


class Entry(NamedTuple):
    stream: str
    entry: str
    job: int


def stream(level: Priority) -> str:
    return f"{{jobs}}:{level.name.lower()}"


_STREAMS = tuple(stream(level) for level in Priority)


class Streams:
    """The three streams. Calls raise `app.redis.ERRORS`. Not for several threads at once."""

    def __init__(self, url: str) -> None:
        self._client: Any = None  # redis-py types each reply as "sync or async"
        self._url = url
        self._unused: deque[Entry] = deque()

    def ping(self) -> None:
        """Raises unless the server that has the streams answers."""
        self._redis.ping()

    def read(self, count: int, *, block: bool, least_first: bool = False) -> list[Entry]:
        """Up to `count` ids, from the most urgent stream on; waits a moment for one if `block`.

        With `least_first` from the least urgent one on.
        """
        found = [self._unused.popleft() for _ in range(min(count, len(self._unused)))]
        for name in reversed(_STREAMS) if least_first else _STREAMS:
            if len(found) == count:
                return found
            found += self._read([name], count - len(found), None)
        if not found and block:
            # At most one from each stream; what there is no room for is returned next time.
            found = self._read(_STREAMS, 1, int(BLOCK_SECONDS * 1000))
            self._unused.extend(found[count:])
            found = found[:count]
        return found

    def remove(self, entries: Iterable[Entry]) -> None:
        """Acknowledges entries and takes them off their streams."""
        by_stream: dict[str, list[str]] = {}
        for one in entries:
            by_stream.setdefault(one.stream, []).append(one.entry)
        with self._redis.pipeline(transaction=False) as pipeline:
            for name, ids in by_stream.items():
                pipeline.xack(name, _GROUP, *ids)
                pipeline.xdel(name, *ids)
            pipeline.execute()

    def add(self, level: Priority, jobs: Sequence[int]) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            for job in jobs:
                pipeline.xadd(stream(level), {"job": job}, maxlen=_LONGEST, approximate=True)
            pipeline.execute()

    def length(self, level: Priority) -> int:
        """Ids on a stream, counting those being read."""
        return int(self._redis.xlen(stream(level)))

    def sweep(self) -> None:
        """Removes what dead workers had read; PostgreSQL has those ids dispatched again."""
        for name in _STREAMS:
            self._ensure_group(name)
            _, entries, *_ = self._redis.xautoclaim(
                name, _GROUP, _CONSUMER, _FORGOTTEN_MS, count=100
            )
            self.remove(Entry(name, entry, 0) for entry, _ in entries)

    def forget(self) -> None:
        """Drops what is known of the server, which was lost: ids, and which one it was."""
        self._unused.clear()
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _redis(self) -> Any:
        if self._client is None:
            self._client = connect_to(_STREAMS[0], self._url, timeout=_TIMEOUT)
        return self._client

    def _read(self, names: Sequence[str], count: int, block: int | None) -> list[Entry]:
        try:
            reply = self._redis.xreadgroup(
                _GROUP, _CONSUMER, dict.fromkeys(names, ">"), count=count, block=block
            )
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            for name in _STREAMS:
                self._ensure_group(name)
            return []
        return [
            Entry(name, entry, int(values["job"]))
            for name, entries in reply or ()
            for entry, values in entries
        ]

    def _ensure_group(self, name: str) -> None:
        try:
            # From "0": ids that came before the group are meant for it, too.
            self._redis.xgroup_create(name, _GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
