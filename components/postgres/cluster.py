"""PostgreSQL with replicas on this machine: Patroni runs the servers and elects the primary."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.postgres import patroni
from components.postgres.ports import PostgresArgs, Servers
from components.target import LocalTarget
from infra.local import binaries
from infra.local.resources import HttpProbe, Liveness, Process, Secret, Stop, Task, TcpProbe

PYTHON = str(Path(sys.prefix) / "bin" / "python")
SETTLE_SECONDS = 120

# Three seconds without an answer: more than a busy machine takes, and little of the time that a
# failover may take. Killed, since what hangs does not stop when asked and may come back to life as
# a second primary.
INTERVAL_SECONDS, FAILURES = 1, 3


@dataclass(frozen=True)
class Member:
    """One server of the cluster with its Patroni, and their ports."""

    name: str
    port: int
    api_port: int

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"


def run(
    name: str,
    args: PostgresArgs,
    admin_password: pulumi.Output[str],
    target: LocalTarget,
    opts: pulumi.ResourceOptions,
) -> Servers:
    """Etcd, then the members side by side, then whatever makes them one cluster."""
    members = [
        Member(f"{name}-{n}", target.port(f"{name}-{n}"), target.port(f"patroni-{n}"))
        for n in range(1, args.size.replicas + 2)
    ]
    passwords = {
        "superuser": admin_password,
        **{
            use: Secret(f"{name}-{use}-password", root=str(target.root), opts=opts).value
            for use in ("replication", "rewind", "api", "etcd")
        },
    }
    settings = patroni.settings(args)
    secured = _etcd(passwords["etcd"], target, opts)
    processes = [
        _member(name, member, settings, passwords, target, _after(opts, secured))
        for member in members
    ]
    settled = Task(
        f"{name}-cluster",
        root=str(target.root),
        command=[PYTHON, "-m", "components.postgres.settle"],
        environment={
            "MEMBERS": json.dumps({m.name: [m.port, m.api_port] for m in members}),
            "ADMIN_PASSWORD": admin_password,
            "API_PASSWORD": passwords["api"],
            "SETTINGS": json.dumps(settings),
            "SECONDS": str(SETTLE_SECONDS),
        },
        timeout_seconds=SETTLE_SECONDS + 30,
        opts=_after(opts, *processes),
    )
    return Servers(
        ports=[member.port for member in members],
        processes=processes,
        settled=[settled],
        metrics={
            use: pulumi.Output.from_input(f"http://127.0.0.1:{target.port(use)}/metrics")
            for use in ("etcd", *(f"patroni-{n}" for n in range(1, len(members) + 1)))
        },
    )


def _etcd(
    password: pulumi.Output[str], target: LocalTarget, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """One server, not three: the machine it would be lost with takes all of PostgreSQL along."""
    port, peer_port = target.port("etcd"), target.port("etcd-peer")
    url, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    process = Process(
        "etcd",
        root=str(target.root),
        command=[
            str(binaries.etcd(target.binaries.etcd)),
            "--name=etcd",
            "--data-dir={folder}/data",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=etcd={peer}",
            # Patroni writes every other second; what was before is of no use.
            "--auto-compaction-mode=revision",
            "--auto-compaction-retention=1000",
            "--log-level=warn",
        ],
        ports=[port, peer_port],
        ready=HttpProbe(http=f"{url}/health"),
        liveness=Liveness(interval_seconds=INTERVAL_SECONDS, failures=FAILURES, kill=True),
        opts=opts,
    )
    return Task(
        "etcd-access",
        root=str(target.root),
        command=[PYTHON, "-m", "components.postgres.etcd"],
        environment={"URL": url, "PASSWORD": password},
        timeout_seconds=60,
        opts=_after(opts, process),
    )


def _member(
    cluster: str,
    member: Member,
    settings: Mapping[str, Any],
    passwords: Mapping[str, pulumi.Output[str]],
    target: LocalTarget,
    opts: pulumi.ResourceOptions,
) -> Process:
    bin_folder = str(binaries.postgres_cluster(target.binaries.postgres))
    configuration = pulumi.Output.all(**passwords).apply(
        lambda known: json.dumps(
            patroni.member(
                cluster,
                member.name,
                settings=settings,
                bin_folder=bin_folder,
                port=member.port,
                api_port=member.api_port,
                etcd_port=target.port("etcd"),
                passwords=known,
            ),
            indent=2,
        )
    )
    return Process(
        member.name,
        root=str(target.root),
        command=[PYTHON, "-m", "patroni", "{folder}/patroni.json"],
        files={"patroni.json": configuration},
        # Restarts would hit all members at once; settings are changed while they run instead.
        reload_signal="SIGHUP",
        triggers={"servers": bin_folder},
        ports=[member.port, member.api_port],
        ready=HttpProbe(http=f"{member.api}/readiness"),
        ready_timeout_seconds=SETTLE_SECONDS,
        # A member may be away for long, while it is copied, rewound or recovers from a crash. Its
        # Patroni answers all the time, and its server does as soon as it listens.
        liveness=Liveness(
            interval_seconds=INTERVAL_SECONDS,
            failures=FAILURES,
            probes=[
                HttpProbe(http=f"{member.api}/liveness"),
                TcpProbe(tcp=member.port, send=patroni.STARTUP, expect="^[RE]", or_closed=True),
            ],
            kill=True,
        ),
        stop=Stop(timeout_seconds=30),
        user_namespace=True,
        opts=opts,
    )


def _after(opts: pulumi.ResourceOptions, *others: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(others)))
