"""What every Redis backend takes and gives."""

from dataclasses import dataclass

import pulumi

from infra.phases import RedisSize


@dataclass(frozen=True)
class RedisArgs:
    """`external_url`: use this server (Upstash, Railway, any `rediss://`) and deploy none."""

    size: RedisSize
    external_url: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class RedisOutputs:
    """`url` is secret and known only when the server answers."""

    url: pulumi.Output[str]
