"""What every workload backend takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.bluesky.ports import BlueskyOutputs
from components.postgres.ports import PostgresOutputs
from components.redis.ports import RedisOutputs
from infra.phases import Phase, WorkloadSize


@dataclass(frozen=True)
class WorkloadArgs:
    """`redis` is None in a phase without one: the app then queues and caches without it.

    `write_points`: what the bot may spend on Bluesky per hour and per day; None means the app's
    defaults, which are the limits of bsky.social.
    """

    phase: Phase
    size: WorkloadSize
    database: PostgresOutputs
    redis: RedisOutputs | None
    bluesky: BlueskyOutputs
    public_url: str
    operator: str
    ingest: str
    write_points: tuple[int, int] | None = None


@dataclass(frozen=True)
class WorkloadOutputs:
    """`upstream` is host:port of the website for the edge.

    `metrics` are Prometheus endpoints by process, known before they answer; a worker that is not
    needed now does not. `operator_password` (secret) opens the pages under /operator, for the user
    `operator`. Who asks without `origin_secret` (secret) is refused; where it is empty, nobody is.
    """

    upstream: pulumi.Output[str]
    metrics: Mapping[str, pulumi.Output[str]]
    operator_password: pulumi.Output[str]
    origin_secret: pulumi.Output[str]
