"""Connections to Redis or Valkey, one server or a cluster.

The URL says which: `redis://:password@host:6379/0`, `rediss://` for TLS, and `?cluster=true` for a
cluster's configuration endpoint. Redis is disposable here, so every call gives up fast and nothing
retries for long; the callers have a way on without it.
"""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

Client: TypeAlias = "redis.Redis | redis.RedisCluster"

ERRORS = (redis.RedisError, redis.RedisClusterException, OSError)
"""What a lost, restarting or confused Redis raises."""


def connect(url: str, *, timeout: float) -> Client:
    """A client whose calls answer or raise within `timeout` seconds. Thread-safe.

    Connects when first used; only a cluster is asked for its layout at once.
    """
    address, cluster = _split(url)
    # One retry at once: a pooled connection may be from before the server's restart. Not after a
    # timeout: a server that hangs would be waited for twice.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    if cluster:
        return redis.RedisCluster.from_url(
            address,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=retry,
            protocol=2,
            decode_responses=True,
        )
    return redis.Redis.from_url(
        address,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=retry,
        protocol=2,
        decode_responses=True,
    )


def _split(url: str) -> tuple[str, bool]:
    """The URL as redis-py wants it, and whether it asks for a cluster."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    cluster = query.pop("cluster", "").lower() in ("1", "true", "yes")
    return urlunsplit(parts._replace(query=urlencode(query))), cluster
