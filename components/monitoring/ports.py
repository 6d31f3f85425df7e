"""What every monitoring backend takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.postgres.ports import PostgresOutputs
from components.redis.ports import RedisOutputs
from infra.phases import Phase


@dataclass(frozen=True)
class MonitoringArgs:
    """`targets` are Prometheus endpoints by name; none need answer yet, or at any time.

    `public_url` is what the site calls itself. `distribution_id` is the CDN's, where it is one of
    CloudFront.
    """

    phase: Phase
    database: PostgresOutputs
    redis: RedisOutputs | None
    targets: Mapping[str, pulumi.Output[str]]
    public_url: str
    distribution_id: pulumi.Output[str] | None = None


@dataclass(frozen=True)
class MonitoringOutputs:
    """`url` tells verdicts (`/slo`), and is known after the first look; see app/monitor."""

    url: pulumi.Output[str]
    metrics: pulumi.Output[str]
