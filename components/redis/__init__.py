"""Redis (Valkey): a cache, rate limits and ids of due jobs. Losing it loses nothing.

One server, or from phase 2 on a cluster.
"""

from components.base import Component
from components.redis.ports import RedisArgs, RedisOutputs

__all__ = ["Redis", "RedisArgs", "RedisOutputs"]


class Redis(Component[RedisArgs, RedisOutputs]):
    token = "etcetera:data:Redis"  # noqa: S105
    targets = ("local", "aws")
