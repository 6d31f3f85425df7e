"""Valkey as a process of this machine."""

import pulumi

from components.redis.ports import RedisArgs, RedisOutputs
from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import Process, Secret, Stop, TcpProbe

# No persistence: PostgreSQL is the source of truth, and what Redis holds is made again.
# volatile-lru: under pressure cached pages go (they expire anyway), the streams of jobs stay.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
save ""
appendonly no
maxmemory {max_memory_mb}mb
maxmemory-policy volatile-lru
daemonize no
"""


def build(
    name: str, args: RedisArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> RedisOutputs:
    if args.external_url is not None:
        return RedisOutputs(url=pulumi.Output.secret(args.external_url))
    port = target.port(name)
    password = Secret(f"{name}-password", root=str(target.root), opts=opts)
    server = Process(
        name,
        root=str(target.root),
        command=[str(binaries.redis(target.binaries.redis)), "{folder}/redis.conf"],
        files={
            "redis.conf": password.value.apply(
                lambda value: CONFIGURATION.format(
                    port=port, password=value, max_memory_mb=args.size.max_memory_mb
                )
            )
        },
        ports=[port],
        # Asked without a password, a server that is up says so; one that still loads says LOADING.
        ready=TcpProbe(tcp=port, send="PING\r\n", expect=r"^(\+PONG|-NOAUTH)"),
        stop=Stop(signal="SIGTERM", timeout_seconds=10),
        user_namespace=True,
        opts=opts,
    )
    url = pulumi.Output.all(server.urn, password.value).apply(
        lambda known: f"redis://:{known[1]}@127.0.0.1:{port}/0"
    )
    return RedisOutputs(url=pulumi.Output.secret(url))
