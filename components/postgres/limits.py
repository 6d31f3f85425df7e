"""What a database on AWS cannot be. Pure; a problem names the field of configuration to mend."""

from collections.abc import Iterator

from components.postgres.parameters import HOSTS_CONNECTIONS
from infra.aws_sizes import AwsCluster, AwsMachines, AwsPostgres, AwsSize, memory_gb
from infra.phases import Phase

# What a connection takes of a server that does other things as well; half of its memory may go for
# that. Estimates of ours.
CONNECTION_MB = 4
CONNECTIONS_SHARE = 0.5
# The share of a machine that a server on the cluster gets; the rest is for the site.
MACHINE_SHARE = 0.4

Problem = tuple[str, str]


def problems(size: AwsSize, phase: Phase, *, synchronous: bool) -> Iterator[Problem]:
    """`synchronous` is False where it was asked for that commits do not wait for replicas."""
    connections = phase.postgres.max_connections + HOSTS_CONNECTIONS
    if size.postgres.hosting == "rds":
        yield from _on_rds(size.postgres, connections, synchronous=synchronous)
    else:
        yield from _on_kubernetes(size.postgres, size.cluster, connections)


def _on_rds(size: AwsPostgres, connections: int, *, synchronous: bool) -> Iterator[Problem]:
    classes = {"database_class": size.instance_class}
    if size.replicas:
        classes["replica_class"] = size.replica_class or size.instance_class
    for key, class_ in classes.items():
        if not _holds(memory_gb(class_), connections):
            yield (
                key,
                f"{class_} has {memory_gb(class_):g} GB, too little for the {connections} "
                "connections of the phase; use a larger one",
            )
    if not synchronous:
        yield (
            "synchronous_commit",
            "on RDS no commit waits for a replica anyhow; remove it, or use postgresHosting "
            "kubernetes",
        )


def _on_kubernetes(size: AwsPostgres, cluster: AwsCluster, connections: int) -> Iterator[Problem]:
    _, machines = machines_for_databases(cluster)
    if machines.count < 1 + size.replicas:
        yield (
            "database_replicas",
            f"{1 + size.replicas} servers of PostgreSQL need a machine each, and the cluster has "
            f"{machines.count} for them; use {machines.count - 1}, or postgresHosting rds",
        )
    memory = server_memory_mb(cluster) / 1024
    if not _holds(memory, connections):
        yield (
            "node_type",
            f"{machines.type} leaves PostgreSQL {memory:.1f} GB, too little for the {connections} "
            "connections of the phase; use a larger one",
        )


def machines_for_databases(cluster: AwsCluster) -> tuple[str, AwsMachines]:
    """Those of the cluster that run PostgreSQL, and their label: agents where there are some."""
    if cluster.distribution == "eks":
        return "agents", cluster.groups["agents"]
    return ("agents", cluster.agents) if cluster.agents else ("server", cluster.server)


def server_memory_mb(cluster: AwsCluster) -> int:
    """What one server of PostgreSQL gets of its machine."""
    return int(memory_gb(machines_for_databases(cluster)[1].type) * MACHINE_SHARE * 1024)


def _holds(gb: float, connections: int) -> bool:
    return connections * CONNECTION_MB <= gb * 1024 * CONNECTIONS_SHARE
