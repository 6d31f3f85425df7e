"""The sizes of a stack on AWS: those of its phase, with what the stack file chooses otherwise."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from infra.aws_sizes import (
    AWS_SIZES,
    SELF_HOSTED_CLUSTERS,
    AwsCluster,
    AwsMachines,
    AwsNetwork,
    AwsPostgres,
    AwsRedis,
    AwsSize,
)
from infra.cost.book import Purchase

if TYPE_CHECKING:
    from infra.config.stack import StackConfig


Size = TypeVar("Size", AwsNetwork, AwsCluster, AwsPostgres, AwsRedis)


def aws_size(config: "StackConfig") -> AwsSize:
    """Pure; `config` has been checked."""
    size = AWS_SIZES[config.phase]
    if config.postgres_hosting == "kubernetes":
        size = replace(size, cluster=SELF_HOSTED_CLUSTERS.get(config.phase, size.cluster))
    return replace(
        size,
        network=_chosen(size.network, cidr=config.vpc_cidr, zones=config.zones, nat=config.nat),
        cluster=_cluster(size.cluster, config),
        postgres=_postgres(size.postgres, config),
        redis=size.redis
        and _chosen(
            size.redis,
            node_type=config.redis_node_type,
            purchase=_purchase(size.redis.purchase, config),
        ),
    )


def _postgres(size: AwsPostgres, config: "StackConfig") -> AwsPostgres:
    storage = config.database_storage or size.storage_gb
    return replace(
        _chosen(
            size,
            hosting=config.postgres_hosting,
            instance_class=config.database_class,
            replica_class=config.replica_class,
            replicas=config.database_replicas,
            multi_az=config.multi_az,
            backup_days=config.backup_days,
        ),
        storage_gb=storage,
        most_storage_gb=max(size.most_storage_gb, 2 * storage),
        purchase=_purchase(size.purchase, config),
    )


def _cluster(size: AwsCluster, config: "StackConfig") -> AwsCluster:
    def machines(given: AwsMachines | None, type_: str | None) -> AwsMachines | None:
        if given is None:
            return None
        return replace(
            given,
            types=(type_,) if type_ else given.types,
            purchase=_purchase(given.purchase, config),
        )

    return _chosen(
        size,
        distribution=config.kubernetes,
        server=machines(size.server, config.node_type),
        agents=machines(size.agents, config.node_type),
        spot=machines(size.spot, config.worker_type),
    )


def _purchase(default: Purchase, config: "StackConfig") -> Purchase:
    if default is Purchase.COMMITTED and config.commitments == "none":
        return Purchase.ON_DEMAND
    return default


def _chosen(size: Size, **choices: Any) -> Size:
    """The size with those choices that were made."""
    return replace(size, **{key: value for key, value in choices.items() if value is not None})
