"""Each Redis server of the stack, asked by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis

from app.redis import ERRORS

SECONDS = 1.0
# INFO's names, by ours.
_FIGURES = {
    "memory_bytes": "used_memory",
    "max_memory_bytes": "maxmemory",
    "connections": "connected_clients",
    "operations": "total_commands_processed",
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "evicted_keys": "evicted_keys",
    "expired_keys": "expired_keys",
    "replicas": "connected_slaves",
}


class Nodes:
    """The servers of a URL: one, or all members of a cluster as far as they are known."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        credentials, _, hosts = self._parts.netloc.rpartition("@")
        self._credentials = f"{credentials}@" if credentials else ""
        self._cluster = "cluster=" in self._parts.query
        self._clients: dict[str, redis.Redis] = {}
        for host in hosts.split(","):
            self._add(host if ":" in host else f"{host}:6379")
        self._given = frozenset(self._clients)

    @property
    def names(self) -> list[str]:
        return list(self._clients)

    def figures(self, name: str) -> Mapping[str, float] | None:
        """What a server says of itself, `primary` and `link` as 1 or 0; None without an answer.

        `link` is a replica's to its primary, and 1 on a primary.
        """
        try:
            info: dict[str, Any] = self._clients[name].info()
        except ERRORS:
            return None
        return {
            "primary": float(info.get("role") == "master"),
            "link": float(info.get("master_link_status", "up") == "up"),
            **{ours: float(info.get(theirs, 0)) for ours, theirs in _FIGURES.items()},
        }

    def discover(self, alive: Sequence[str]) -> None:
        """Learns a cluster's members from the first that answers of those that just did."""
        if not self._cluster:
            return
        for name in alive:
            try:
                members = self._clients[name].cluster("NODES")
            except ERRORS:
                continue
            for gone in set(self._clients) - set(members) - self._given:
                self._clients.pop(gone).close()
            for address in members:
                self._add(address)
            return

    def close(self) -> None:
        for client in self._clients.values():
            with suppress(*ERRORS):
                client.close()

    def _add(self, address: str) -> None:
        if address in self._clients or address.startswith(":"):  # ":0" is a node without address
            return
        url = urlunsplit(self._parts._replace(netloc=self._credentials + address, query=""))
        self._clients[address] = redis.Redis.from_url(
            url,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            decode_responses=True,
            protocol=2,
        )
