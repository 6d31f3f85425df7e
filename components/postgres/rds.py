"""PostgreSQL on Amazon RDS: a primary, its read replicas, and what a production database needs.

What cannot be changed without replacing a server (encryption, key, names, the administrator, the
subnets) is the same in all phases, so growing replaces nothing.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components import access, alarms, passwords
from components.postgres import address, admin, parameters, watched
from components.postgres.cost import logs_of
from components.postgres.ports import PostgresArgs, PostgresOutputs
from components.target import AwsTarget

Known = TypeVar("Known")

COMPONENT = "postgres"
# The newest that RDS offers for production, and what the local target runs. Without a minor version
# so that automatic minor upgrades are no drift.
MAJOR = "18"
PORT = 5432
ADMIN = "etcetera_admin"
AUTHORITY = "rds-ca-rsa2048-g1"  # valid until 2061
# Where the app's image has Amazon's certificates: who answers must be the server that was asked.
TLS = {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/certs/rds.pem"}
# Static parameters are read at the next restart.
STATIC = ("max_connections", "rds.logical_replication")
LOG_DAYS = 30
# UTC, when few are awake on either side of the Atlantic. Replicas are upgraded the day before.
BACKUP_WINDOW = "03:00-04:00"
PRIMARY_WINDOW, REPLICA_WINDOW = "sun:04:30-sun:05:30", "sat:04:30-sat:05:30"
TIMEOUTS = pulumi.CustomTimeouts(create="60m", update="120m", delete="60m")


@dataclass(frozen=True)
class Shared:
    """What primary and replicas have in common."""

    name: str
    args: PostgresArgs
    target: AwsTarget
    identifier: pulumi.Output[str]
    arguments: dict[str, Any]
    monitored: pulumi.Resource
    opts: pulumi.ResourceOptions

    def server(self, logs: Sequence[pulumi.Resource], **more: Any) -> pulumi.ResourceOptions:
        """Options of a server: it takes long, and writes at once what its role and logs are for."""
        own = pulumi.ResourceOptions(
            depends_on=[self.monitored, *logs], custom_timeouts=TIMEOUTS, **more
        )
        return pulumi.ResourceOptions.merge(self.opts, own)

    @property
    def max_connections(self) -> int:
        return int(parameters.of_rds(self.args.size)["max_connections"])


def build(
    name: str, args: PostgresArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> PostgresOutputs:
    size = target.size.postgres
    shared = _shared(name, args, target, opts)
    admin_password = passwords.generate(f"{name}-admin-password", 32, opts)
    owner_password = passwords.generate(f"{name}-password", 32, opts)
    primary = _primary(shared, admin_password)
    replicas = [_replica(shared, primary, number) for number in range(1, size.replicas + 1)]
    admin.keep(
        f"{name}-admin",
        target,
        host=primary.address,
        port=PORT,
        user=ADMIN,
        password=admin_password,
        opts=opts,
    )
    # The primary comes last: whoever wants a replica need not ask it first.
    servers = pulumi.Output.all(*(server.endpoint for server in (*replicas, primary)))

    def known(
        describe: Callable[..., Known], user: str, password: pulumi.Output[str], database: str
    ) -> pulumi.Output[Known]:
        return pulumi.Output.secret(
            pulumi.Output.all(servers, password).apply(
                lambda found: describe(user, found[1], found[0], database, **TLS)
            )
        )

    def at_primary(user: str, password: str, all_: Sequence[str], database: str, **tls: str) -> str:
        return address.url(user, password, all_[-1:], database, **tls)

    owner = args.database
    return PostgresOutputs(
        # The primary's name stays with it in a failover to its standby.
        url=known(at_primary, owner, owner_password, args.database),
        reader_url=known(address.reader, owner, owner_password, args.database),
        replica_urls=known(address.each, owner, owner_password, args.database),
        instances={
            "primary": primary.identifier,
            **{f"replica {n}": one.identifier for n, one in enumerate(replicas, start=1)},
        },
        provision={
            "ADMIN_URL": known(at_primary, ADMIN, admin_password, "postgres"),
            "DATABASE": pulumi.Output.from_input(args.database),
            "OWNER": pulumi.Output.from_input(owner),
            "OWNER_PASSWORD": owner_password,
        },
    )


def _shared(
    name: str, args: PostgresArgs, target: AwsTarget, opts: pulumi.ResourceOptions
) -> Shared:
    def tags(of: str) -> dict[str, str]:
        return target.tags(COMPONENT, of)

    # Logs are named after the server and made before it; a snapshot outlives it. So its name is
    # known early and never the one of a server before.
    suffix = random.RandomId(f"{name}-suffix", byte_length=4, opts=opts)
    group = aws.rds.ParameterGroup(
        f"{name}-parameters",
        family=f"postgres{MAJOR}",
        description=f"PostgreSQL of stack {target.stack}",
        parameters=[
            aws.rds.ParameterGroupParameterArgs(
                name=parameter,
                value=str(value),
                apply_method="pending-reboot" if parameter in STATIC else "immediate",
            )
            for parameter, value in parameters.of_rds(args.size).items()
        ],
        tags=tags(f"{name}-parameters"),
        opts=opts,
    )
    role = aws.iam.Role(
        f"{name}-monitoring",
        description="Lets RDS write what its machines do to CloudWatch",
        assume_role_policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"Service": "monitoring.rds.amazonaws.com"},
                        "Condition": {"StringEquals": {"aws:SourceAccount": target.account_id}},
                    }
                ],
            }
        ),
        tags=tags(f"{name}-monitoring"),
        opts=opts,
    )
    attached = aws.iam.RolePolicyAttachment(
        f"{name}-monitoring-rights",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
        opts=opts,
    )
    return Shared(
        name=name,
        args=args,
        target=target,
        identifier=suffix.hex.apply(lambda text: f"{_plain(target.stack)}-{name}-{text}"),
        arguments={
            "storage_type": "gp3",
            "max_allocated_storage": target.size.postgres.most_storage_gb,
            "storage_encrypted": True,
            "parameter_group_name": group.name,
            "vpc_security_group_ids": [
                access.from_nodes(name, target, COMPONENT, PORT, "PostgreSQL", opts).id
            ],
            "publicly_accessible": False,
            "port": PORT,
            "ca_cert_identifier": AUTHORITY,
            "copy_tags_to_snapshot": True,
            "auto_minor_version_upgrade": True,
            "allow_major_version_upgrade": False,
            "apply_immediately": target.size.postgres.apply_immediately,
            "monitoring_interval": 60,
            "monitoring_role_arn": role.arn,
            "database_insights_mode": "standard",
            "performance_insights_enabled": True,
            "performance_insights_kms_key_id": target.encryption.key_arn,
            "performance_insights_retention_period": 7,  # days, which are free
        },
        monitored=attached,
        opts=opts,
    )


def _primary(shared: Shared, password: pulumi.Output[str]) -> aws.rds.Instance:
    name, target, size = shared.name, shared.target, shared.target.size.postgres
    subnets = aws.rds.SubnetGroup(
        f"{name}-subnets",
        description=f"PostgreSQL of stack {target.stack}",
        subnet_ids=list(target.network.isolated_subnet_ids),
        tags=target.tags(COMPONENT, f"{name}-subnets"),
        opts=shared.opts,
    )
    logs = _logs(shared, name, shared.identifier, replica=False)
    primary = aws.rds.Instance(
        name,
        identifier=shared.identifier,
        engine="postgres",
        engine_version=MAJOR,
        instance_class=size.instance_class,
        allocated_storage=size.storage_gb,
        kms_key_id=target.encryption.key_arn,
        username=ADMIN,
        password=password,
        db_subnet_group_name=subnets.name,
        network_type="IPV4",
        multi_az=size.multi_az,
        # Where most of the app runs, for short ways; with a standby RDS chooses both.
        availability_zone=None if size.multi_az else target.zones[0],
        backup_retention_period=size.backup_days,
        backup_window=BACKUP_WINDOW,
        maintenance_window=PRIMARY_WINDOW,
        delete_automated_backups=False,
        skip_final_snapshot=False,
        final_snapshot_identifier=shared.identifier.apply(lambda text: f"{text}-final"),
        deletion_protection=target.protect,
        enabled_cloudwatch_logs_exports=list(logs_of(replica=False)),
        **shared.arguments,
        tags=target.tags(COMPONENT, name),
        # A failover moves it, and it must not be replaced to move it back.
        opts=shared.server(logs, protect=target.protect, ignore_changes=["availability_zone"]),
    )
    _watch(shared, name, primary, size.instance_class, replica=False)
    return primary


def _replica(shared: Shared, primary: aws.rds.Instance, number: int) -> aws.rds.Instance:
    """Can be made again from the primary, so it is neither protected nor backed up."""
    target, size = shared.target, shared.target.size.postgres
    name = f"{shared.name}-replica-{number}"
    class_ = size.replica_class or size.instance_class
    identifier = shared.identifier.apply(lambda text: f"{text}-replica-{number}")
    logs = _logs(shared, name, identifier, replica=True)
    replica = aws.rds.Instance(
        name,
        identifier=identifier,
        replicate_source_db=primary.identifier,
        instance_class=class_,
        # The first where the primary is not.
        availability_zone=target.zones[number % len(target.zones)],
        maintenance_window=REPLICA_WINDOW,
        skip_final_snapshot=True,
        enabled_cloudwatch_logs_exports=list(logs_of(replica=True)),
        **shared.arguments,
        tags=target.tags(COMPONENT, name),
        opts=shared.server(logs),
    )
    _watch(shared, name, replica, class_, replica=True)
    return replica


def _logs(
    shared: Shared, server: str, identifier: pulumi.Output[str], *, replica: bool
) -> list[pulumi.Resource]:
    """Made before the server, which would make them unencrypted and for ever."""
    target = shared.target

    def group(log: str) -> aws.cloudwatch.LogGroup:
        return aws.cloudwatch.LogGroup(
            f"{server}-log-{log}",
            name=identifier.apply(lambda text: f"/aws/rds/instance/{text}/{log}"),
            kms_key_id=target.encryption.key_arn,
            retention_in_days=LOG_DAYS,
            tags=target.tags(COMPONENT, f"{server}-log-{log}"),
            opts=shared.opts,
        )

    return [group(log) for log in logs_of(replica=replica)]


def _watch(
    shared: Shared, server: str, instance: aws.rds.Instance, class_: str, *, replica: bool
) -> None:
    storage = shared.target.size.postgres.storage_gb
    alarms.watch(
        server,
        shared.target,
        COMPONENT,
        watched.of_server(class_, storage, shared.max_connections, replica=replica),
        namespace="AWS/RDS",
        dimensions={"DBInstanceIdentifier": instance.identifier},
        opts=shared.opts,
    )


def _plain(stack: str) -> str:
    """A stack's name as RDS takes names: lower case, digits, single hyphens, a letter first."""
    text = re.sub(r"[^a-z0-9]+", "-", stack.lower()).strip("-")[:30].strip("-")
    return text if text[:1].isalpha() else f"s-{text}"
