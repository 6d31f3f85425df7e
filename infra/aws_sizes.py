"""The phases' default sizes on AWS, as data: what is bought, how, and what use is assumed.

Each phase keeps its budget (`infra.phases`); `python -m infra.cost` shows the sum. A stack file may
choose otherwise (`docs/configuration.md`), and the `cost` output then says what that costs. Sizing:
docs/decisions/0015-aws-topology.md.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from infra.cost.book import Purchase

DatabaseHosting = Literal["rds", "kubernetes"]
Distribution = Literal["k3s", "eks"]
Nat = Literal["none", "gateway"]


@dataclass(frozen=True)
class AwsNetwork:
    """`cidr` is cut into public and isolated subnets, one of each per zone. No NAT by default:
    nodes have public addresses and closed security groups, data lives in isolated subnets."""

    cidr: str = "10.20.0.0/16"
    zones: int = 2
    nat: Nat = "none"


@dataclass(frozen=True)
class AwsMachines:
    """So many machines of one type; for spot any of `types` will do, the first is priced."""

    count: int
    types: tuple[str, ...]
    purchase: Purchase = Purchase.ON_DEMAND
    disk_gb: int = 20

    @property
    def type(self) -> str:
        return self.types[0]


@dataclass(frozen=True)
class AwsCluster:
    """Kubernetes: k3s on one `server` machine that also runs pods, with more `agents` and with
    `spot` machines for the workers; or EKS, where `server` joins the agents."""

    server: AwsMachines
    agents: AwsMachines | None = None
    spot: AwsMachines | None = None
    distribution: Distribution = "k3s"

    @property
    def machines(self) -> tuple[AwsMachines, ...]:
        return tuple(one for one in (self.server, self.agents, self.spot) if one)

    @property
    def groups(self) -> dict[str, AwsMachines]:
        """Of EKS: two agents or more, since draining the only one would stop the site, and spot."""
        count = self.server.count + (self.agents.count if self.agents else 0)
        agents = replace(self.agents or self.server, count=max(2, count))
        return {"agents": agents, **({"spot": self.spot} if self.spot else {})}


@dataclass(frozen=True)
class AwsPostgres:
    """RDS, or CloudNativePG on the cluster. Storage in GB grows by itself to `most_storage_gb`.

    `apply_immediately`: changes that restart a server do so at once, not in its weekly window.
    """

    instance_class: str
    storage_gb: int
    most_storage_gb: int
    replica_class: str | None = None
    replicas: int = 0
    hosting: DatabaseHosting = "rds"
    purchase: Purchase = Purchase.ON_DEMAND
    multi_az: bool = False
    backup_days: int = 7
    apply_immediately: bool = False


@dataclass(frozen=True)
class AwsRedis:
    """ElastiCache for Valkey. `replicas` are per shard."""

    node_type: str
    shards: int = 1
    replicas: int = 0
    purchase: Purchase = Purchase.ON_DEMAND


@dataclass(frozen=True)
class AwsUsage:
    """What use is assumed a month, where AWS bills by use. Estimates of ours from the phase's users
    and operations: a visitor sees 20 pages of 60 kB, a tenth of that passes the CDN."""

    cdn_gb: float
    cdn_million_requests: float
    log_gb: float
    origin_gb: float


@dataclass(frozen=True)
class AwsSize:
    """Everything of one phase."""

    cluster: AwsCluster
    postgres: AwsPostgres
    redis: AwsRedis | None
    usage: AwsUsage
    network: AwsNetwork = field(default_factory=AwsNetwork)


AWS_SIZES: dict[int, AwsSize] = {
    0: AwsSize(
        cluster=AwsCluster(server=AwsMachines(1, ("t4g.medium",))),
        postgres=AwsPostgres("db.t4g.micro", storage_gb=20, most_storage_gb=50),
        redis=None,
        usage=AwsUsage(cdn_gb=2, cdn_million_requests=0.1, log_gb=1, origin_gb=1),
    ),
    1: AwsSize(
        cluster=AwsCluster(
            server=AwsMachines(1, ("t4g.medium",)),
            spot=AwsMachines(1, ("t4g.small", "t4g.medium"), Purchase.SPOT),
        ),
        postgres=AwsPostgres("db.t4g.small", storage_gb=20, most_storage_gb=100),
        redis=AwsRedis("cache.t4g.micro"),
        usage=AwsUsage(cdn_gb=15, cdn_million_requests=1, log_gb=3, origin_gb=5),
    ),
    2: AwsSize(
        cluster=AwsCluster(
            server=AwsMachines(1, ("t4g.medium",), Purchase.COMMITTED),
            agents=AwsMachines(1, ("t4g.medium",), Purchase.COMMITTED),
            spot=AwsMachines(3, ("t4g.small", "t4g.medium"), Purchase.SPOT, disk_gb=12),
        ),
        postgres=AwsPostgres(
            "db.t4g.xlarge",
            storage_gb=50,
            most_storage_gb=500,
            replica_class="db.t4g.small",
            replicas=2,
            purchase=Purchase.COMMITTED,
        ),
        redis=AwsRedis("cache.t4g.micro", shards=3, purchase=Purchase.COMMITTED),
        usage=AwsUsage(cdn_gb=120, cdn_million_requests=8, log_gb=8, origin_gb=30),
    ),
}

SELF_HOSTED_CLUSTERS: dict[int, AwsCluster] = {
    2: AwsCluster(
        server=AwsMachines(1, ("t4g.medium",), Purchase.COMMITTED),
        # One for each server of PostgreSQL, of 16 GB and 4 vCPU; the site is beside them.
        agents=AwsMachines(3, ("t4g.xlarge",), Purchase.COMMITTED, disk_gb=60),
        spot=AwsMachines(2, ("t4g.small", "t4g.medium"), Purchase.SPOT, disk_gb=12),
    ),
}
"""The clusters of phases that need other machines when PostgreSQL runs on them."""

_MEMORY_GB = {"nano": 0.5, "micro": 1, "small": 2, "medium": 4}  # of t; larger ones double
_LARGE_GB = {"t": 8, "m": 8, "c": 4, "r": 16}


def memory_gb(type_: str) -> float:
    """Of a machine or a class of database, such as t4g.small or db.m7g.xlarge.

    Raises ValueError for a family or size that is not known here.
    """
    family, _, size = type_.removeprefix("db.").rpartition(".")
    if size in _MEMORY_GB:
        return _MEMORY_GB[size]
    times = re.fullmatch(r"(?:(\d*)x)?large", size)
    if times is None or family[:1] not in _LARGE_GB:
        raise ValueError(f"the memory of {type_} is not known")
    large = _LARGE_GB[family[0]]
    # large, xlarge (twice as much), 2xlarge (four times) and so on
    return large if size == "large" else large * 2 * int(times[1] or 1)
