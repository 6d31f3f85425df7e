"""Connections to Redis or Valkey, one server or a cluster.

The URL says which: `redis://:password@host:6379/0`, `rediss://` for TLS, and `?cluster=true` for a
cluster, of which it may name several nodes: `redis://:password@one:6379,two:6379/0?cluster=true`.

Redis is disposable here, so every call gives up fast and nothing retries for long; the callers have
a way on without it. Whenever a call fails, a client of a cluster asks other nodes for the layout,
and so follows a failover.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry

Client: TypeAlias = "redis.Redis | redis.RedisCluster"

ERRORS = (redis.RedisError, redis.RedisClusterException, OSError)
"""What a lost, restarting or confused Redis raises."""

SILENCE_SECONDS = 2.0
"""How long a node of a cluster that did not answer in time is left alone: longer than it takes to
find out the same of all six, so that no thread does so after another."""

LAYOUT_SECONDS = 0.3  # for a node to tell who has which keys


def connect(url: str, *, timeout: float) -> Client:
    """A client whose calls answer or raise within `timeout` seconds. Thread-safe.

    Connects when first used; only a cluster is asked for its layout at once. While several of its
    nodes hang, a call may take the timeout once for each, until they are known to.
    """
    if is_cluster(url):
        return redis.RedisCluster(**cluster_options(url, timeout=timeout))
    [address] = addresses(url)
    return redis.Redis.from_url(address, **_options(timeout))


def connect_to(key: str, url: str, *, timeout: float) -> redis.Redis:
    """A client of the one server that has a key now: in a cluster, the primary of its shard.

    Cheaper than one of the whole cluster, and a call waits for one server only. It does not follow
    a failover: whatever a call raises, connect again.
    """
    if is_cluster(url):
        with closing(redis.RedisCluster(**cluster_options(url, timeout=LAYOUT_SECONDS))) as cluster:
            node = cluster.get_node_from_key(key)  # type: ignore[no-untyped-call]
        parts = urlsplit(addresses(url)[0])
        url = urlunsplit(parts._replace(netloc=_netloc(parts.netloc, f"{node.host}:{node.port}")))
    return redis.Redis.from_url(url, **_options(timeout))


def answers(client: Client) -> bool:
    """Whether all that has keys answers. Raises ERRORS."""
    if isinstance(client, redis.RedisCluster):
        return bool(client.ping(target_nodes=redis.RedisCluster.PRIMARIES))
    return bool(client.ping())


def is_cluster(url: str) -> bool:
    return dict(parse_qsl(urlsplit(url).query)).get("cluster", "").lower() in ("1", "true", "yes")


def addresses(url: str) -> list[str]:
    """For each server that the URL names, its own URL as redis-py wants it."""
    parts = urlsplit(url)
    query = urlencode([(key, text) for key, text in parse_qsl(parts.query) if key != "cluster"])
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return [
        urlunsplit(parts._replace(netloc=_netloc(parts.netloc, host), query=query))
        for host in hosts
    ]


def cluster_options(url: str, *, timeout: float) -> dict[str, Any]:
    """Arguments of `redis.RedisCluster`."""
    first, *others = addresses(url)
    nodes = [urlsplit(address) for address in others]
    return {
        # With this scheme redis-py leaves the class of connections to us.
        "url": first.replace("rediss://", "redis://", 1),
        "connection_class": _WaryTls if first.startswith("rediss://") else _Wary,
        "startup_nodes": [
            ClusterNode(node.hostname, node.port or 6379)  # type: ignore[no-untyped-call]
            for node in nodes
        ],
        **_options(timeout),
    }


def _options(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # One retry at once: a pooled connection may be from before the server's restart. Not after
        # a timeout: a server that hangs would be waited for twice.
        "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        "protocol": 2,
        "decode_responses": True,
    }


def _netloc(netloc: str, host: str) -> str:
    user, at, _ = netloc.rpartition("@")
    return f"{user}{at}{host}"


class _Patience:
    """Makes connections to a node that hung fail at once, for a moment.

    Without it each thread would wait for the node, and once more for each layout it asks it for.
    """

    host: str
    port: int
    is_connected: bool

    def connect(self) -> None:
        if not self.is_connected and time.monotonic() < SILENT.get((self.host, self.port), 0.0):
            raise redis.TimeoutError(f"{self.host}:{self.port} did not answer a moment ago")
        try:
            super().connect()  # type: ignore[misc]
        except redis.TimeoutError:
            self._be_silent()
            raise

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except redis.TimeoutError:
            self._be_silent()
            raise

    def _be_silent(self) -> None:
        SILENT[self.host, self.port] = time.monotonic() + SILENCE_SECONDS


class _Wary(_Patience, redis.Connection): ...


class _WaryTls(_Patience, redis.SSLConnection): ...


SILENT: dict[tuple[str, int], float] = {}  # until when, by node
