"""Valkey on Amazon ElastiCache: a cluster from the first shard on, so that it grows in place.

It keeps no snapshots: PostgreSQL is the source of truth, and what Redis holds is made again.
"""

import pulumi
import pulumi_aws as aws

from components import access, alarms, passwords
from components.redis import watched
from components.redis.ports import RedisArgs, RedisOutputs
from components.target import AwsTarget

COMPONENT = "redis"
# One major version back from the newest: nothing in Valkey 9 is used, there is no way back down,
# and the way up is in place.
VERSION, FAMILY = "8.2", "valkey8"
PORT = 6379
PARAMETERS = {
    "cluster-enabled": "yes",
    # As on this machine: under pressure cached pages go, streams of jobs stay.
    "maxmemory-policy": "volatile-lru",
    # A lost shard fails alone.
    "cluster-require-full-coverage": "no",
}
WINDOW = "sun:05:30-sun:06:30"  # UTC, after the database's
LOG_DAYS = 30


def build(
    name: str, args: RedisArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> RedisOutputs:
    if args.external_url is not None:
        return RedisOutputs(url=pulumi.Output.secret(args.external_url))
    size = target.size.redis
    if size is None:
        raise ValueError(f"phase {target.phase} has no size for Redis on AWS; see infra.aws_sizes")
    token = passwords.generate(f"{name}-token", 64, opts)
    log = aws.cloudwatch.LogGroup(
        f"{name}-log",
        kms_key_id=target.encryption.key_arn,
        retention_in_days=LOG_DAYS,
        tags=target.tags(COMPONENT, f"{name}-log"),
        opts=opts,
    )
    group = aws.elasticache.ReplicationGroup(
        name,
        description=f"Cache and job ids of stack {target.stack}",
        engine="valkey",
        engine_version=VERSION,
        node_type=size.node_type,
        port=PORT,
        cluster_mode="enabled",
        num_node_groups=size.shards,
        replicas_per_node_group=size.replicas,
        # Clusters have no other choice; without replicas there is nothing to fail over to.
        automatic_failover_enabled=True,
        multi_az_enabled=size.replicas > 0,
        parameter_group_name=_parameters(name, target, opts).name,
        subnet_group_name=_subnets(name, target, opts).name,
        security_group_ids=[access.from_nodes(name, target, COMPONENT, PORT, "Valkey", opts).id],
        network_type="ipv4",
        at_rest_encryption_enabled=True,
        kms_key_id=target.encryption.key_arn,
        transit_encryption_enabled=True,
        auth_token=token,
        # A new token is valid beside the old one until all processes have it.
        auth_token_update_strategy="ROTATE",  # noqa: S106
        snapshot_retention_limit=0,
        maintenance_window=WINDOW,
        auto_minor_version_upgrade=True,
        # Nothing in a cache is worth waiting for.
        apply_immediately=True,
        # Not the slow log: it holds what was asked for, and so who asked.
        log_delivery_configurations=[
            aws.elasticache.ReplicationGroupLogDeliveryConfigurationArgs(
                destination=log.name,
                destination_type="cloudwatch-logs",
                log_format="json",
                log_type="engine-log",
            )
        ],
        tags=target.tags(COMPONENT, name),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=target.protect)),
    )
    nodes = dict(watched.nodes(size.shards, size.replicas))
    for node, replica in nodes.items():
        alarms.watch(
            f"{name}-{node}",
            target,
            COMPONENT,
            watched.of_node(replica=replica),
            namespace="AWS/ElastiCache",
            dimensions={"CacheClusterId": _member(group, node)},
            opts=opts,
        )
    return RedisOutputs(
        url=pulumi.Output.secret(
            pulumi.Output.all(token, group.configuration_endpoint_address).apply(
                lambda known: f"rediss://:{known[0]}@{known[1]}:{PORT}/0?cluster=true"
            )
        ),
        nodes={f"node {node}": _member(group, node) for node in nodes},
    )


def _member(group: aws.elasticache.ReplicationGroup, node: str) -> pulumi.Output[str]:
    return group.replication_group_id.apply(lambda id_: f"{id_}-{node}")


def _parameters(
    name: str, target: AwsTarget, opts: pulumi.ResourceOptions
) -> aws.elasticache.ParameterGroup:
    return aws.elasticache.ParameterGroup(
        f"{name}-parameters",
        family=FAMILY,
        description=f"Valkey of stack {target.stack}",
        parameters=[
            aws.elasticache.ParameterGroupParameterArgs(name=parameter, value=value)
            for parameter, value in PARAMETERS.items()
        ],
        tags=target.tags(COMPONENT, f"{name}-parameters"),
        opts=opts,
    )


def _subnets(
    name: str, target: AwsTarget, opts: pulumi.ResourceOptions
) -> aws.elasticache.SubnetGroup:
    return aws.elasticache.SubnetGroup(
        f"{name}-subnets",
        description=f"Valkey of stack {target.stack}",
        subnet_ids=list(target.network.isolated_subnet_ids),
        tags=target.tags(COMPONENT, f"{name}-subnets"),
        opts=opts,
    )
