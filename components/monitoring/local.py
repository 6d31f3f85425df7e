"""The monitor as a process of this machine, straight from the checkout."""

import json
from dataclasses import asdict

import pulumi

from components.monitoring.ports import MonitoringArgs, MonitoringOutputs
from components.target import LocalTarget
from components.workload.local import REPOSITORY, app_command, fingerprint
from infra.local.resources import HttpProbe, Liveness, Process, Secret, Stop


def build(
    name: str, args: MonitoringArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> MonitoringOutputs:
    root, port = str(target.root), target.port("monitor")
    # One of its own, which the app demands of all: the bot's sessions are not for the monitor.
    secret_key = Secret(f"{name}-secret-key", root=root, opts=opts)
    limits = {k: v for k, v in asdict(args.phase.objectives).items() if v is not None}
    environment: dict[str, pulumi.Input[str]] = {
        "PHASE": str(args.phase.number),
        "DATABASE_URL": args.database.url,
        "REPLICA_URLS": args.database.replica_urls.apply(",".join),
        "PUBLIC_URL": args.public_url,
        "SECRET_KEY": secret_key.value,
        "METRICS_PORT": str(port),
        "MONITOR_TARGETS": pulumi.Output.json_dumps(dict(args.targets)),
        "MONITOR_OBJECTIVES": json.dumps(limits),
        # Where people reach the stack on this machine; what it calls itself may be elsewhere.
        "MONITOR_SITE": f"http://localhost:{target.port('public')}",
    }
    if args.redis is not None:
        environment["REDIS_URL"] = args.redis.url
    server = Process(
        name,
        root=root,
        command=app_command("monitor"),
        environment=environment,
        ports=[port],
        ready=HttpProbe(http=f"http://127.0.0.1:{port}/readyz"),
        liveness=Liveness(probes=[HttpProbe(http=f"http://127.0.0.1:{port}/healthz")]),
        stop=Stop(signal="SIGTERM", timeout_seconds=10),
        triggers={"code": fingerprint(REPOSITORY / "app")},
        opts=opts,
    )
    url = server.urn.apply(lambda _: f"http://127.0.0.1:{port}")
    return MonitoringOutputs(url=url, metrics=pulumi.Output.concat(url, "/metrics"))
