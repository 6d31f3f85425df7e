"""One Valkey or Redis server as a process of this machine."""

import pulumi

from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import Liveness, Process, Stop, TcpProbe

# No persistence: PostgreSQL is the source of truth, and what Redis holds is made again.
# volatile-lru: under pressure cached pages go (they expire anyway), the streams of jobs stay.
# Settings go by the names that Redis 7.0 knows; Valkey knows them, too.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
save ""
appendonly no
maxmemory {max_memory_mb}mb
maxmemory-policy volatile-lru
shutdown-timeout 0
daemonize no
"""


def run(
    name: str,
    port: int,
    password: pulumi.Output[str],
    max_memory_mb: int,
    target: LocalTarget,
    opts: pulumi.ResourceOptions,
    *,
    more: str = "",
    bus: int | None = None,
) -> Process:
    """A server at `port`. `more` follows its configuration and may name {password}.

    `bus` is the port at which it speaks with the other nodes of a cluster.
    """
    return Process(
        name,
        root=str(target.root),
        command=[str(binaries.redis(target.binaries.redis)), "{folder}/redis.conf"],
        files={
            "redis.conf": password.apply(
                lambda value: (CONFIGURATION + more).format(
                    port=port, bus=bus, password=value, max_memory_mb=max_memory_mb
                )
            )
        },
        ports=[port] if bus is None else [port, bus],
        # Asked without a password, a server that is up says so.
        ready=TcpProbe(tcp=port, send="PING\r\n", expect=r"^(\+PONG|-NOAUTH)"),
        # It answers within a millisecond; one that is silent for so long hangs.
        liveness=Liveness(interval_seconds=1, failures=3),
        stop=Stop(signal="SIGTERM", timeout_seconds=10),
        user_namespace=True,
        opts=opts,
    )
