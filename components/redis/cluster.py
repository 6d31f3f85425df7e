"""A cluster of Valkey servers on this machine: shards, each a primary with its replicas."""

import sys
from pathlib import Path

import pulumi

from components.redis import server
from components.redis.ports import RedisArgs
from components.target import LocalTarget
from infra.local.resources import Task

# A lost shard fails alone (require-full-coverage no), and a replica takes over however old its data
# is (validity-factor 0): nothing here is worth a shard that does not answer.
CLUSTERED = """\
cluster-enabled yes
cluster-port {bus}
cluster-config-file nodes.conf
cluster-node-timeout 2000
cluster-require-full-coverage no
cluster-replica-validity-factor 0
repl-diskless-sync-delay 0
masterauth {password}
"""


def build(
    name: str,
    args: RedisArgs,
    password: pulumi.Output[str],
    target: LocalTarget,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The URL of a cluster that was formed and is whole."""
    numbers = range(1, args.size.shards * (1 + args.size.replicas) + 1)
    ports = {n: (target.port(f"{name}-{n}"), target.port(f"{name}-bus-{n}")) for n in numbers}
    nodes = {
        n: server.run(
            f"{name}-{n}",
            port,
            password,
            args.size.max_memory_mb,
            target,
            opts,
            more=CLUSTERED,
            bus=bus,
        )
        for n, (port, bus) in ports.items()
    }
    formed = Task(
        f"{name}-cluster",
        root=str(target.root),
        command=[str(Path(sys.prefix) / "bin" / "python"), "-m", "components.redis.form"],
        environment={
            "NODES": ",".join(f"{port}:{bus}" for port, bus in ports.values()),
            "SHARDS": str(args.size.shards),
            "PASSWORD": password,
        },
        timeout_seconds=120,
        # A node that `up` starts anew has to be back in the cluster before `up` ends.
        triggers={f"node-{n}": node.started_at for n, node in nodes.items()},
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=list(nodes.values()))
        ),
    )
    addresses = ",".join(f"127.0.0.1:{port}" for port, _ in ports.values())
    return pulumi.Output.all(formed.urn, password).apply(
        lambda known: f"redis://:{known[1]}@{addresses}/0?cluster=true"
    )
