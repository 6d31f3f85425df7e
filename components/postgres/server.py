"""One PostgreSQL as a process of this machine."""

import pulumi

from components.postgres import parameters
from components.postgres.parameters import Parameters
from components.postgres.ports import PostgresArgs, Servers
from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import ExecProbe, Initialize, Process, Stop

ACCESS = """\
# type  database  user  address       method
host    all       all   127.0.0.1/32  scram-sha-256
host    replication all 127.0.0.1/32  scram-sha-256
"""


def run(
    name: str,
    args: PostgresArgs,
    admin_password: pulumi.Output[str],
    target: LocalTarget,
    opts: pulumi.ResourceOptions,
) -> Servers:
    port = target.port(name)
    bin_folder = binaries.postgres(target.binaries.postgres)
    process = Process(
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
            "admin-password": admin_password,
            "postgresql.conf": _configuration(
                {
                    "listen_addresses": "127.0.0.1",
                    "port": port,
                    **parameters.NO_SOCKETS,
                    **parameters.of_any(args.size),
                }
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
    return Servers(ports=[port], processes=[process])


def _configuration(values: Parameters) -> str:
    return "".join(f"{name} = '{value}'\n" for name, value in values.items())
