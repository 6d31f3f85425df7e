"""What is watched of each server of RDS. Limits are ours where no source is named."""

from components.thresholds import Threshold
from infra.aws_sizes import memory_gb

_GB = 1024**3
# Of the phase's objectives: beyond, the app reads elsewhere.
REPLICA_LAG_SECONDS = 0.1
# An idle primary writes something every five minutes at the latest.
STUCK_SECONDS = 600


def of_server(
    instance_class: str, storage_gb: int, max_connections: int, *, replica: bool
) -> list[Threshold]:
    found = [
        Threshold(
            "cpu",
            "CPUUtilization",
            "The database is short of CPU: look at Database Insights for the statement that takes "
            "it, then choose a larger databaseClass or replicaClass.",
            above=80,
        ),
        # Storage grows by itself at 10 % left, but no more than once in six hours.
        Threshold(
            "storage",
            "FreeStorageSpace",
            "Less than a tenth of the disk is left: it should have grown by itself; see whether it "
            "reached its maximum (databaseStorage) or a replication slot holds the log back.",
            below=storage_gb * _GB / 10,
            periods=2,
        ),
        Threshold(
            "memory",
            "FreeableMemory",
            "Less than a tenth of the memory is free: fewer connections, or a larger class.",
            below=memory_gb(instance_class) * _GB / 10,
        ),
        Threshold(
            "connections",
            "DatabaseConnections",
            "Nearly all connections are taken, and the app will be refused: see who holds them in "
            "pg_stat_activity. The pools of the phase fit, so these are others.",
            above=0.85 * max_connections,
            statistic="Maximum",
            periods=2,
        ),
    ]
    if instance_class.startswith("db.t"):
        found.append(
            Threshold(
                "credits",
                "CPUCreditBalance",
                "The burst of this class is used up, and every further vCPU hour costs 7.5 cents: "
                "choose a larger class if this is how it is every day.",
                below=20,  # vCPU minutes
                minutes=15,
            )
        )
    if replica:
        found += [
            # Lag is the age of the last transaction that was replayed, so it also grows while the
            # primary has nothing to say. That no sample of ten minutes was below the limit, three
            # times in a row, is no lull.
            Threshold(
                "lag",
                "ReplicaLag",
                f"The replica was never within {REPLICA_LAG_SECONDS} s of its primary for half an "
                "hour, so the app reads from the primary: too much is written, or too small a "
                "replicaClass. A site without visitors looks the same.",
                above=REPLICA_LAG_SECONDS,
                statistic="Minimum",
                minutes=10,
            ),
            Threshold(
                "stuck",
                "ReplicaLag",
                "The replica has replayed nothing for ten minutes: replication is broken. Its log "
                "says why; a replica is made again by `pulumi up --replace`.",
                above=STUCK_SECONDS,
                periods=1,
            ),
        ]
    return found
