"""What every Redis backend takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from infra.phases import RedisSize


@dataclass(frozen=True)
class RedisArgs:
    """`external_url`: use this server (Upstash, Railway, any `rediss://`) and deploy none."""

    size: RedisSize
    external_url: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class RedisOutputs:
    """`url` is secret and known only when the server answers. `nodes` is what CloudWatch calls the
    servers (on ElastiCache)."""

    url: pulumi.Output[str]
    nodes: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
