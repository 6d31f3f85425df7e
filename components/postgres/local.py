"""PostgreSQL as a process of this machine."""

import sys
from pathlib import Path

import pulumi

from components.postgres.ports import PostgresArgs, PostgresOutputs
from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import ExecProbe, Initialize, Process, Secret, Stop, Task

# TCP on loopback alone: a socket in the data folder would break pg_rewind and clones of the folder,
# and elsewhere its path may exceed the 107 bytes a socket address holds.
CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = {max_connections}
shared_buffers = {shared_buffers_mb}MB
password_encryption = scram-sha-256
# Static, so on from day one: moving to the next phase copies by logical replication.
wal_level = logical
wal_log_hints = on
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
log_min_duration_statement = 1000
# A failing statement's text may hold what a person wrote; the app logs its own errors.
log_min_error_statement = panic
"""

ACCESS = """\
# type  database  user  address       method
host    all       all   127.0.0.1/32  scram-sha-256
host    replication all 127.0.0.1/32  scram-sha-256
"""


def build(
    name: str, args: PostgresArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> PostgresOutputs:
    if args.external_url is not None:
        return PostgresOutputs(
            url=pulumi.Output.secret(args.external_url),
            reader_url=pulumi.Output.secret(args.external_url),
            replica_urls=pulumi.Output.secret([]),
        )
    port = target.port(name)
    bin_folder = binaries.postgres(target.binaries.postgres)
    admin = Secret(f"{name}-admin-password", root=str(target.root), opts=opts)
    owner = Secret(f"{name}-password", root=str(target.root), opts=opts)
    server = Process(
        name,
        root=str(target.root),
        command=[
            str(bin_folder / "postgres"),
            "-D",
            "{folder}/data",
            "-c",
            "config_file={folder}/postgresql.conf",
            "-c",
            "hba_file={folder}/pg_hba.conf",
        ],
        initialize=[
            Initialize(
                command=[
                    str(bin_folder / "initdb"),
                    "--pgdata={staging}",
                    "--username=postgres",
                    "--pwfile={folder}/admin-password",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--data-checksums",
                ],
                creates="data",
            )
        ],
        files={
            "admin-password": admin.value,
            "postgresql.conf": CONFIGURATION.format(
                port=port,
                max_connections=args.size.max_connections,
                shared_buffers_mb=args.size.shared_buffers_mb,
            ),
            "pg_hba.conf": ACCESS,
        },
        ports=[port],
        ready=ExecProbe(
            exec=[str(bin_folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        ),
        # SIGINT is PostgreSQL's fast shutdown: it ends sessions instead of waiting for them.
        stop=Stop(signal="SIGINT", timeout_seconds=30),
        user_namespace=True,
        opts=opts,
    )
    provisioned = Task(
        f"{name}-database",
        root=str(target.root),
        command=[str(Path(sys.prefix) / "bin" / "python"), "-m", "components.postgres.provision"],
        environment={
            "ADMIN_URL": pulumi.Output.concat(
                "postgresql://postgres:", admin.value, f"@127.0.0.1:{port}/postgres"
            ),
            "DATABASE": args.database,
            "OWNER": args.database,
            "OWNER_PASSWORD": owner.value,
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[server])),
    )
    url = pulumi.Output.all(provisioned.urn, owner.value).apply(
        lambda known: f"postgresql://{args.database}:{known[1]}@127.0.0.1:{port}/{args.database}"
    )
    return PostgresOutputs(
        url=pulumi.Output.secret(url),
        reader_url=pulumi.Output.secret(url),
        replica_urls=pulumi.Output.secret([]),
    )
