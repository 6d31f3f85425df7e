"""What PostgreSQL costs: servers, their disks, and what watches them."""

from collections.abc import Iterator

from components.postgres import watched
from infra.aws_sizes import AwsPostgres
from infra.cost.book import Purchase
from infra.cost.lines import CostLine, Kind

COMPONENT = "postgres"
RESERVED = (
    "Reserved database instances: paid for a year, used or not, and for this family and region only"
)
ALONE = (
    "A primary without a standby has no automatic failover: RDS restarts it in place within "
    "minutes (multiAz has one, for twice the price)"
)
# Enhanced monitoring once a minute and the log itself. An estimate of ours.
LOG_GB = 0.4
# Compressed log and base backups of a week, per gigabyte of the database. An estimate of ours.
BACKUP_RATIO = 2.0


def cost_lines(name: str, size: AwsPostgres) -> list[CostLine]:
    """Backups of RDS are free up to the size of the database, which those of a week stay within."""
    return list(_on_rds(name, size) if size.hosting == "rds" else _on_kubernetes(name, size))


def _on_rds(name: str, size: AwsPostgres) -> Iterator[CostLine]:
    replicas = tuple(f"{name}-replica-{n}" for n in range(1, size.replicas + 1))
    replica_class = size.replica_class or size.instance_class
    classes = {name: size.instance_class, **dict.fromkeys(replicas, replica_class)}
    copies = 2 if size.multi_az else 1  # a standby costs what the primary costs
    gives_up = (RESERVED,) if size.purchase is Purchase.COMMITTED else ()
    yield CostLine(
        COMPONENT,
        f"rds.postgres.{size.instance_class}",
        copies,
        (name,),
        size.purchase,
        gives_up=gives_up if size.multi_az else (*gives_up, ALONE),
    )
    if replicas:
        yield CostLine(
            COMPONENT,
            f"rds.postgres.{replica_class}",
            len(replicas),
            replicas,
            size.purchase,
            gives_up=gives_up,
        )
    yield CostLine(COMPONENT, "rds.gp3", size.storage_gb * (copies + len(replicas)))
    yield CostLine(COMPONENT, "secretsmanager.secret", 1, (f"{name}-admin",))
    logs = tuple(
        f"{server}-log-{log}" for server in classes for log in logs_of(replica=server != name)
    )
    yield CostLine(
        COMPONENT,
        "cloudwatch.logs",
        LOG_GB * len(classes),
        logs,
        kind=Kind.USAGE,
        assumption=f"{LOG_GB} GB a month of each server: its log, and its system once a minute",
    )
    alarms = tuple(
        f"{server}-{limit.name}"
        for server, class_ in classes.items()
        for limit in watched.of_server(class_, size.storage_gb, 0, replica=server != name)
    )
    yield CostLine(COMPONENT, "cloudwatch.alarm", len(alarms), alarms)


def logs_of(*, replica: bool) -> tuple[str, ...]:
    """The logs of a server that CloudWatch gets. Only a primary is upgraded by itself."""
    return ("postgresql",) if replica else ("postgresql", "upgrade")


def _on_kubernetes(name: str, size: AwsPostgres) -> Iterator[CostLine]:
    """Its machines are the cluster's."""
    yield CostLine(COMPONENT, "ebs.gp3", size.storage_gb * (1 + size.replicas))
    yield CostLine(
        COMPONENT,
        "s3.standard",
        size.storage_gb * BACKUP_RATIO,
        (f"{name}-backups",),
        kind=Kind.USAGE,
        assumption=f"{BACKUP_RATIO:g} GB of backups for each GB of the database",
    )
    yield CostLine(COMPONENT, "secretsmanager.secret", 1, (f"{name}-admin",))
