"""The app as processes of this machine, straight from the checkout."""

import hashlib
import sys
from pathlib import Path

import pulumi

from components.target import LocalTarget
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
    # What a process is given is also what it waits for.
    base: dict[str, pulumi.Input[str]] = {
        "PHASE": str(args.phase.number),
        "DATABASE_URL": args.database.url,
        "REPLICA_URLS": args.database.replica_urls.apply(",".join),
        "PUBLIC_URL": args.public_url,
        "SECRET_KEY": secret_key.value,
    }
    common = base | {"OPERATOR": args.operator, "BLUESKY_HANDLE": args.bluesky.handle}
    if args.redis is not None:
        common["REDIS_URL"] = args.redis.url
    # Only what talks to Bluesky gets the account's password.
    bot = common | {
        "BLUESKY_PASSWORD": args.bluesky.password,
        "BLUESKY_COURIERS": args.bluesky.couriers,
        "BLUESKY_INGEST": args.ingest,
        "BLUESKY_POLL_SECONDS": "0.5",
    }
    budget: dict[str, pulumi.Input[str]] = {}
    if args.write_points is not None:
        hour, day = args.write_points
        budget = {
            "BLUESKY_WRITE_POINTS_HOUR": str(hour),
            "BLUESKY_WRITE_POINTS_DAY": str(day),
        }
    bot |= budget

    migrated = Task(
        f"{name}-migrations",
        root=root,
        command=app_command("migrate"),
        environment=base,
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
        environment: dict[str, pulumi.Input[str]],
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
        common
        | budget
        | {
            "PORT": str(web_port),
            "TRUSTED_PROXIES": "1",
            "WEB_WORKERS": str(args.size.web_processes),
            "WEB_THREADS": str(args.size.web_threads),
            "DATABASE_POOL": str(args.size.web_pool),
            "PROMETHEUS_MULTIPROC_DIR": "{folder}/metrics",
            "OPERATOR_PASSWORD": operator_password.value,
        },
        # More than gunicorn's own patience with requests under way (20 s).
        stop_seconds=25,
    )
    process(
        "ingest",
        "ingest",
        target.port("ingest"),
        bot
        | {
            "BLUESKY_URL": args.bluesky.url,
            "METRICS_PORT": str(target.port("ingest")),
            "DATABASE_POOL": str(args.size.ingest_pool),
        },
        stop_seconds=10,
    )
    for number in range(1, args.size.most_workers + 1):
        worker = f"worker-{number}"
        process(
            worker,
            "worker",
            target.port(worker),
            bot
            | {
                # Effects need no Bluesky, and replies wait for it by themselves.
                "BLUESKY_URL": args.bluesky.address,
                "METRICS_PORT": str(target.port(worker)),
                "WORKER_THREADS": str(args.size.worker_threads),
                "REPLY_THREADS": str(args.size.reply_threads),
                "DATABASE_POOL": str(args.size.worker_pool),
            },
            # A worker finishes the job it holds; its lease is 30 s.
            stop_seconds=30,
            pool=_place(args.size, number),
        )
    if scaling := args.size.scaling:
        process(
            "autoscaler",
            "autoscaler",
            target.port("autoscaler"),
            base
            | budget
            | {
                "METRICS_PORT": str(target.port("autoscaler")),
                "DATABASE_POOL": str(scaling.pool),
                "AUTOSCALER_LEAST": str(args.size.workers),
                "AUTOSCALER_MOST": str(scaling.maximum),
                "AUTOSCALER_OLDEST_SECONDS": str(scaling.oldest_seconds),
                "AUTOSCALER_JOBS_PER_WORKER": str(scaling.jobs_per_worker),
                "AUTOSCALER_CALM_SECONDS": str(scaling.calm_seconds),
                "AUTOSCALER_ACCOUNTS": str(args.size.bot_accounts),
                "AUTOSCALER_SIZE_FILE": str(pool_size_file(target.root, POOL)),
            },
            stop_seconds=10,
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
