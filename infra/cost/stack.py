"""The bill of a stack: what its components say they cost, priced for its region."""

from collections.abc import Collection
from datetime import date
from typing import Any, Literal

from components.alerts import cost as alerts
from components.cdn import cost as cdn
from components.cluster import cost as cluster
from components.dns import cost as dns
from components.edge import cost as edge
from components.encryption import cost as encryption
from components.monitoring import cost as monitoring
from components.network import cost as network
from components.postgres import cost as postgres
from components.redis import cost as redis
from components.workload import cost as workload
from infra.aws_sizes import AWS_SIZES, AwsSize
from infra.config import StackConfig
from infra.config.sizing import aws_size
from infra.cost.book import PriceBook
from infra.cost.lines import CostLine
from infra.cost.regions import REGIONS
from infra.cost.report import Bill, report
from infra.phases import PHASES

Basis = Literal["deployed", "equivalent"]
FIRST_REGION = "us-east-1"  # of the price book


def lines(
    size: AwsSize,
    *,
    region: str = FIRST_REGION,
    hosted_zone_id: str | None = None,
    external: Collection[str] = (),
) -> list[CostLine]:
    """What a phase consists of on AWS, component by component, named as the program names them.

    `external` components (`postgres`, `redis`) run elsewhere and are on another bill.
    """
    found = [
        *encryption.cost_lines("encryption", region=region),
        *alerts.cost_lines("alerts"),
        *dns.cost_lines("dns", hosted_zone_id=hosted_zone_id),
        *network.cost_lines("network", size.network),
        *cluster.cost_lines("cluster", size.cluster, size.usage, size.network),
    ]
    if "postgres" not in external:
        found += postgres.cost_lines("postgres", size.postgres)
    if size.redis and "redis" not in external:
        found += redis.cost_lines("redis", size.redis)
    return [
        *found,
        *workload.cost_lines("app"),
        *edge.cost_lines("edge"),
        *cdn.cost_lines("cdn", size.usage),
        *monitoring.cost_lines("monitor"),
    ]


def bill(config: StackConfig, book: PriceBook | None = None) -> Bill:
    """A local stack's bill is that of its phase on AWS, at default sizes and in the first region.

    Raises:
        UnpricedError: something has no price.
    """
    phase = PHASES[config.phase]
    book = book or PriceBook.load()
    if config.target == "local":
        return Bill.of(phase, lines(AWS_SIZES[phase.number]), book)
    here = book.at(REGIONS[config.region], config.region)
    own = lines(
        aws_size(config),
        region=config.region,
        hosted_zone_id=config.hosted_zone_id,
        external={
            name
            for name, url in (("postgres", config.database_url), ("redis", config.redis_url))
            if url is not None
        },
    )
    return Bill.of(phase, own, here)


def cost(config: StackConfig, today: date) -> dict[str, Any]:
    """The stack's `cost` output (`cost/v1`), with the difference to the phase before it."""
    own = bill(config)
    before = None
    if config.phase > 0:
        phase = PHASES[config.phase - 1]
        before = Bill.of(phase, lines(AWS_SIZES[phase.number]), own.book)
    basis: Basis = "deployed" if config.target == "aws" else "equivalent"
    return report(own, today, basis=basis, before=before)
