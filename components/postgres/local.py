"""PostgreSQL on this machine: one server, or a cluster when there are replicas."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pulumi

from components.postgres import address, cluster, server
from components.postgres.ports import PostgresArgs, PostgresOutputs
from components.target import LocalTarget
from infra.local.resources import Secret, Task

Known = TypeVar("Known")


def build(
    name: str, args: PostgresArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> PostgresOutputs:
    if args.external_url is not None:
        return PostgresOutputs.elsewhere(args.external_url)
    admin = Secret(f"{name}-admin-password", root=str(target.root), opts=opts)
    owner = Secret(f"{name}-password", root=str(target.root), opts=opts)
    run = cluster.run if args.size.replicas else server.run
    servers = run(name, args, admin.value, target, opts)
    hosts = address.here(servers.ports)
    provisioned = Task(
        f"{name}-database",
        root=str(target.root),
        command=[str(Path(sys.prefix) / "bin" / "python"), "-m", "app", "provision"],
        environment={
            "ADMIN_URL": admin.value.apply(
                lambda password: address.writer("postgres", password, hosts, "postgres")
            ),
            "DATABASE": args.database,
            "OWNER": args.database,
            "OWNER_PASSWORD": owner.value,
        },
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=servers.processes)
        ),
    )
    ready = pulumi.Output.all(provisioned.urn, *(task.urn for task in servers.settled))

    def known(describe: Callable[..., Known]) -> pulumi.Output[Known]:
        """What may be told once the servers can be used."""
        return pulumi.Output.secret(
            pulumi.Output.all(ready, owner.value).apply(
                lambda found: describe(args.database, found[1], hosts, args.database)
            )
        )

    return PostgresOutputs(
        url=known(address.writer),
        reader_url=known(address.reader),
        replica_urls=known(address.each),
        metrics=servers.metrics,
    )
