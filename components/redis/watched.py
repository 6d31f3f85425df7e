"""What is watched of each node of ElastiCache. Limits are ours."""

from components.thresholds import Threshold

# The app's pools hold some dozens; the node takes 65,000.
MANY_CONNECTIONS = 2000


def of_node(*, replica: bool) -> list[Threshold]:
    found = [
        Threshold(
            "memory",
            "DatabaseMemoryUsageCountedForEvictPercentage",
            "The cache is nearly full, so pages are dropped before they expire: choose a larger "
            "redisNodeType.",
            above=90,
        ),
        Threshold(
            "evictions",
            "Evictions",
            "Pages are dropped before they expire, and more reads reach the database: choose a "
            "larger redisNodeType.",
            above=1000,
            statistic="Sum",
        ),
        Threshold(
            "cpu",
            "CPUUtilization",
            "The node is short of CPU (of which it has two): choose a larger redisNodeType.",
            above=80,
        ),
        # Valkey answers on one core, which can be busy while the node is not.
        Threshold(
            "engine-cpu",
            "EngineCPUUtilization",
            "Valkey is busy all the time and answers late: more shards, or a larger redisNodeType.",
            above=80,
        ),
        Threshold(
            "connections",
            "CurrConnections",
            "Far more connections than the app's pools hold: something opens them and does not "
            "give them back.",
            above=MANY_CONNECTIONS,
            statistic="Maximum",
        ),
    ]
    if replica:
        found.append(
            Threshold(
                "lag",
                "ReplicationLag",
                "The replica is behind: in a failover now, pages would be fetched anew and limits "
                "forgotten.",
                above=5,  # seconds
            )
        )
    return found


def nodes(shards: int, replicas: int) -> list[tuple[str, bool]]:
    """How ElastiCache names the nodes of a group, after its id, and whether they begin as replicas.

    Any node of a shard may be its primary at the moment.
    """
    return [
        (f"{shard:04d}-{node:03d}", replicas > 0)
        for shard in range(1, shards + 1)
        for node in range(1, replicas + 2)
    ]
