"""What the cache costs: its nodes, its log, and what watches them."""

from components.redis import watched
from infra.aws_sizes import AwsRedis
from infra.cost.book import Purchase
from infra.cost.lines import CostLine, Kind

COMPONENT = "redis"
RESERVED = "Reserved cache nodes: paid for a year, used or not, and for this family and region only"
LOG_GB = 0.05  # an estimate of ours


def cost_lines(name: str, size: AwsRedis) -> list[CostLine]:
    nodes = watched.nodes(size.shards, size.replicas)
    alarms = tuple(
        f"{name}-{node}-{limit.name}"
        for node, replica in nodes
        for limit in watched.of_node(replica=replica)
    )
    return [
        CostLine(
            COMPONENT,
            f"elasticache.valkey.{size.node_type}",
            len(nodes),
            (name,),
            size.purchase,
            gives_up=(RESERVED,) if size.purchase is Purchase.COMMITTED else (),
        ),
        CostLine(
            COMPONENT,
            "cloudwatch.logs",
            LOG_GB,
            (f"{name}-log",),
            kind=Kind.USAGE,
            assumption=f"{LOG_GB} GB of engine log a month",
        ),
        CostLine(COMPONENT, "cloudwatch.alarm", len(alarms), alarms),
    ]
