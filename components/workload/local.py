"""The app as processes of this machine, straight from the checkout."""

import hashlib
import sys
from pathlib import Path

import pulumi

from components.target import LocalTarget
from components.workload.environment import (
    STOP_SECONDS,
    WEB_STOP_SECONDS,
    WORKER_STOP_SECONDS,
    Environment,
    Environments,
    Keys,
)
from components.workload.ports import WorkloadArgs, WorkloadOutputs
from infra.local.resources import (
    HttpProbe,
    Liveness,
    Pool,
    Process,
    Secret,
    Stop,
    Task,
    pool_size_file,
)
from infra.phases import WorkloadSize

REPOSITORY = Path(__file__).parents[2]
PYTHON = str(Path(sys.prefix) / "bin" / "python")
POOL = "workers"


def app_command(role: str) -> list[str]:
    return [PYTHON, "-m", "app", role]


def build(
    name: str, args: WorkloadArgs, target: LocalTarget, opts: pulumi.ResourceOptions
) -> WorkloadOutputs:
    root = str(target.root)
    secret_key = Secret(f"{name}-secret-key", root=root, opts=opts)
    operator_password = Secret(f"{name}-operator-password", root=root, opts=opts)
    environments = Environments(args, Keys(secret_key.value, operator_password.value))
    # The network on this machine can be asked as often as one likes.
    polling: Environment = {"BLUESKY_POLL_SECONDS": "0.5"}

    migrated = Task(
        f"{name}-migrations",
        root=root,
        command=app_command("migrate"),
        environment=environments.migrate,
        triggers={"schema": fingerprint(REPOSITORY / "app" / "migrations")},
        opts=opts,
    )
    after_migrations = pulumi.ResourceOptions.merge(
        opts, pulumi.ResourceOptions(depends_on=[migrated])
    )
    # A process runs the code it started with; new code is a change that `up` rolls out.
    code = {"code": fingerprint(REPOSITORY / "app")}
    processes: list[str] = []

    def process(
        process_name: str,
        role: str,
        port: int,
        environment: Environment,
        stop_seconds: int,
        pool: Pool | None = None,
    ) -> Process:
        processes.append(process_name)
        return Process(
            process_name,
            root=root,
            command=app_command(role),
            environment=environment,
            ports=[port],
            ready=HttpProbe(http=f"http://127.0.0.1:{port}/readyz"),
            # Not ready without the database, which is no reason to restart it.
            liveness=Liveness(
                interval_seconds=2,
                failures=5,
                probes=[HttpProbe(http=f"http://127.0.0.1:{port}/healthz")],
            ),
            stop=Stop(signal="SIGTERM", timeout_seconds=stop_seconds),
            pool=pool,
            triggers=code,
            opts=after_migrations,
        )

    web_port = target.port("web")
    web = process(
        "web",
        "web",
        web_port,
        environments.web
        | {
            "PORT": str(web_port),
            "TRUSTED_PROXIES": "1",
            "WEB_WORKERS": str(args.size.web_processes),
            "PROMETHEUS_MULTIPROC_DIR": "{folder}/metrics",
        },
        stop_seconds=WEB_STOP_SECONDS,
    )
    process(
        "ingest",
        "ingest",
        target.port("ingest"),
        environments.ingest | polling | {"METRICS_PORT": str(target.port("ingest"))},
        stop_seconds=STOP_SECONDS,
    )
    for number in range(1, args.size.most_workers + 1):
        worker = f"worker-{number}"
        process(
            worker,
            "worker",
            target.port(worker),
            environments.worker | polling | {"METRICS_PORT": str(target.port(worker))},
            stop_seconds=WORKER_STOP_SECONDS,
            pool=_place(args.size, number),
        )
    if scaling := args.size.scaling:
        process(
            "autoscaler",
            "autoscaler",
            target.port("autoscaler"),
            environments.autoscaler(scaling)
            | {
                "METRICS_PORT": str(target.port("autoscaler")),
                "AUTOSCALER_SIZE_FILE": str(pool_size_file(target.root, POOL)),
            },
            stop_seconds=STOP_SECONDS,
        )

    return WorkloadOutputs(
        upstream=web.urn.apply(lambda _: f"127.0.0.1:{web_port}"),
        metrics={
            process_name: pulumi.Output.from_input(
                f"http://127.0.0.1:{target.port(process_name)}/metrics"
            )
            for process_name in processes
        },
        operator_password=operator_password.value,
        # Nobody else reaches the ports of this machine.
        origin_secret=pulumi.Output.secret(""),
    )


def _place(size: WorkloadSize, number: int) -> Pool | None:
    """A worker's place in the pool that the autoscaler sizes, where there is one."""
    return Pool(name=POOL, ordinal=number, least=size.workers) if size.scaling else None


def fingerprint(folder: Path) -> str:
    """A hash over the files of a folder, blind to caches and modification times."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
