"""The replicas, as places to read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout

from app.db.connections import Connection, ReplicaLost, ServerLost, replayed, using
from app.db.pools import Pool, readers
from app.db.servers import LATEST, PRIMARY, Server, Servers

# A replica whose connections are all taken is not waited for any longer; the primary's are.
BUSY_SECONDS = 0.25


class Replicas:
    """Pools to read from, one for each server that may be a replica."""

    def __init__(self, servers: Servers, urls: Mapping[str, str], size: int) -> None:
        self.servers = servers
        self._pools: dict[str, Pool] = {
            name: readers(conninfo, name, size) for name, conninfo in urls.items()
        }

    def __len__(self) -> int:
        return len(self._pools)

    def open(self) -> None:
        for pool in self._pools.values():
            pool.open()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close(timeout=2)

    def take(self, after: int, timeout: float) -> tuple[Server, Connection] | None:
        """A connection to a fresh replica that has replayed `after`; None when there is none."""
        if after == LATEST:
            after = self.servers.newest
        if after == PRIMARY:
            return None
        for server in self.servers.replicas():
            try:
                conn = self._pools[server.name].getconn(min(timeout, BUSY_SECONDS))
            except PoolTimeout:
                continue
            if server.position >= after or self._replayed(server, conn, after):
                self.servers.taken(server, 1)
                return server, conn
            self._pools[server.name].putconn(conn)
        return None

    @contextmanager
    def reading(self, server: Server, conn: Connection) -> Iterator[Connection]:
        """A connection that `take` gave, for one read. Raises ReplicaLost."""
        try:
            with using(conn):
                conn.read_only = True
                yield conn
        except ServerLost as error:
            self.servers.lost(server.name)
            raise ReplicaLost(f"{server.name}: {error}") from error
        except errors.SerializationFailure as error:
            # Replaying removed rows that were being read.
            raise ReplicaLost(f"{server.name}: {error}") from error
        finally:
            self.servers.taken(server, -1)
            self._pools[server.name].putconn(conn)

    def stats(self) -> dict[str, dict[str, int]]:
        return {name: pool.get_stats() for name, pool in self._pools.items()}

    def _replayed(self, server: Server, conn: Connection, after: int) -> bool:
        """Asks the replica itself: what we know of it is some milliseconds old."""
        try:
            position = replayed(conn)
        except psycopg.OperationalError:
            self.servers.lost(server.name)
            return False
        return position is not None and position >= after
