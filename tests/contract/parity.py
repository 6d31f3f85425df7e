"""Writes docs/parity.md: what each option of each component does on each target.

`python -m tests.contract.parity`. Nothing in the table is claimed: each option is set to another
value, the component is declared with both, and what is declared and exported is compared.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pulumi

from components.alerts import Alerts, AlertsArgs
from components.base import Component, UnsupportedTargetError
from components.bluesky import Account, Bluesky, BlueskyArgs
from components.cdn import Cdn, CdnArgs
from components.cluster import Cluster, ClusterArgs
from components.dns import Dns, DnsArgs
from components.edge import Edge, EdgeArgs
from components.encryption import Encryption, EncryptionArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.network import Network, NetworkArgs
from components.postgres import Postgres, PostgresArgs
from components.redis import Redis, RedisArgs
from components.target import AwsTarget, Binaries, LocalTarget, Target
from components.workload import Workload
from infra.aws_sizes import AWS_SIZES, AwsCluster, AwsMachines, AwsNetwork
from infra.engine import program
from infra.engine.offline import OfflineMonitor
from infra.engine.program import Monitor
from infra.phases import PHASES, CdnSize, PostgresSize, RedisSize, Scaling, WorkloadSize
from tests.program.aws.stubs import ACCOUNT, aws_target, workload_args
from tests.recording import RecordingMonitor

DOCUMENT = Path(__file__).parents[2] / "docs" / "parity.md"
TARGETS = ("local", "aws")
PHASE = PHASES[2]
SIZES = (AwsCluster, AwsNetwork, CdnSize, PostgresSize, RedisSize, Scaling, WorkloadSize)

HEAD = """\
# Options on each target

Written by `python -m tests.contract.parity`; a test compares the two. Each option of a component
is set to another value, the component is declared with both on each target, and what is declared
and exported is compared: it works where that differs, is refused where the backend raises, and else
it is said why nothing differs. Sizes of machines on AWS are chosen in the stack file
([configuration.md](configuration.md)) or are the phase's (`infra/aws_sizes.py`).

| Component | Option | local | aws |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Option:
    """An option, by its path in the arguments, with another value. `given` are changes of the
    arguments without which the option means nothing. `note` says what is special of the value."""

    path: str
    other: Callable[[], Any]
    given: Callable[[], Mapping[str, Any]] = dict
    note: str = ""


@dataclass(frozen=True)
class Case:
    """A component with arguments that are right on every target it has a backend for. `kind` tells
    its cases apart; `at` changes the account of AWS that
    it is declared in, by the arguments."""

    component: type[Component[Any, Any]]
    name: str
    args: Callable[[Target], Any]
    options: tuple[Option, ...]
    kind: str = ""
    at: Callable[[AwsTarget, Any], AwsTarget] = lambda target, _: target

    @property
    def title(self) -> str:
        return self.component.__name__ + (f", {self.kind}" if self.kind else "")


def value(path: str, other: Any, **given: Any) -> Option:
    return Option(path, lambda: other, lambda: given)


def secret(text: str) -> pulumi.Output[str]:
    return pulumi.Output.secret(text)


def known(text: str) -> pulumi.Output[str]:
    return pulumi.Output.from_input(text)


def _aws(target: Target) -> AwsTarget:
    """Of components that only AWS has; elsewhere nobody looks at their arguments."""
    return target if isinstance(target, AwsTarget) else aws_target(2)


def _alerts(target: Target) -> AlertsArgs:
    return AlertsArgs("operators@example.com", 300, _aws(target).encryption)


def _network(target: Target) -> NetworkArgs:
    return NetworkArgs(AWS_SIZES[2].network, _aws(target).encryption)


def _cluster(target: Target) -> ClusterArgs:
    there = _aws(target)
    return ClusterArgs(
        AWS_SIZES[2].cluster,
        "origin.etcetera.example.com",
        there.dns,
        there.network,
        there.encryption,
        there.alerts,
    )


def _monitoring(_: Target) -> MonitoringArgs:
    app = workload_args(2)
    return MonitoringArgs(
        phase=PHASE,
        database=app.database,
        redis=app.redis,
        targets={"web": known("http://web:9100/metrics")},
        public_url="https://etcetera.example.com",
        distribution_id=known("E123"),
    )


ACCOUNT_ELSEWHERE = Account("https://bsky.social", "bot.example.com", "password")
MACHINES = AwsMachines(2, ("t4g.large",))
ON_CLUSTER = replace(AWS_SIZES[2], postgres=replace(AWS_SIZES[2].postgres, hosting="kubernetes"))

CASES = (
    Case(
        Bluesky,
        "bluesky",
        lambda _: BlueskyArgs(ACCOUNT_ELSEWHERE),
        (
            value("account", replace(ACCOUNT_ELSEWHERE, handle="other.example.com")),
            Option("account", lambda: None, note=" left out"),
            value("limits", False, account=None),
            value("bot_accounts", 3, account=None),
        ),
    ),
    Case(
        Postgres,
        "postgres",
        lambda _: PostgresArgs("etcetera", PHASE.postgres),
        (
            value("database", "other"),
            value("size.max_connections", 50),
            value("size.shared_buffers_mb", 64),
            value("size.replicas", 0),
            Option("external_url", lambda: secret("postgresql://u:p@db.example/x")),
            value("synchronous", False),
        ),
    ),
    Case(
        Postgres,
        "postgres",
        lambda _: PostgresArgs("etcetera", PHASE.postgres),
        (value("synchronous", False),),
        kind="on the cluster",
        at=lambda target, _: replace(target, size=ON_CLUSTER),
    ),
    Case(
        Redis,
        "redis",
        lambda _: RedisArgs(PHASES[2].redis or PHASES[1].redis),  # type: ignore[arg-type]
        (
            value("size.max_memory_mb", 99),
            value("size.shards", 1),
            value("size.replicas", 0),
            Option("external_url", lambda: secret("rediss://:p@cache.example:6379")),
        ),
    ),
    Case(
        Workload,
        "app",
        lambda _: workload_args(2),
        (
            value("phase", replace(PHASE, number=1)),
            value("size.web_processes", 5),
            value("size.web_threads", 5),
            value("size.web_pool", 5),
            value("size.workers", 1),
            value("size.worker_threads", 7),
            value("size.reply_threads", 3),
            value("size.worker_pool", 9),
            value("size.ingest_pool", 9),
            value("size.scaling", None),
            value("size.scaling.maximum", 7),
            value("size.scaling.oldest_seconds", 77.0),
            value("size.scaling.jobs_per_worker", 77),
            value("size.scaling.calm_seconds", 77.0),
            value("size.scaling.pool", 7),
            value("size.bot_accounts", 1),
            value("redis", None),
            value("public_url", "https://other.example.com"),
            value("operator", "somebody@example.com"),
            value("ingest", "firehose"),
            value("write_points", (100, 1000)),
        ),
    ),
    Case(
        Edge,
        "edge",
        lambda _: EdgeArgs("web.etcetera:8000", behind_cdn=True),
        (value("upstream", "other.etcetera:8001"), value("behind_cdn", False)),
    ),
    Case(
        Cdn,
        "cdn",
        lambda _: CdnArgs(PHASE.cdn, "origin.etcetera.example.com:80", secret("only us")),
        (
            value("size", None),
            value("size.cache_mb", 5),
            value("origin", "other.etcetera.example.com:80"),
            Option("origin_secret", lambda: secret("only them")),
            Option("origin_secret", lambda: None, note=" left out"),
        ),
    ),
    Case(
        Monitoring,
        "monitor",
        _monitoring,
        (
            value("phase", PHASES[1]),
            value("redis", None),
            Option("targets", lambda: {"other": known("http://other:9100/metrics")}),
            value("public_url", "https://other.example.com"),
            Option("distribution_id", lambda: known("E456")),
            Option("distribution_id", lambda: None, note=" left out"),
        ),
    ),
    Case(Encryption, "encryption", lambda _: EncryptionArgs(), ()),
    Case(
        Alerts,
        "alerts",
        _alerts,
        (
            value("email", "others@example.com"),
            value("budget", 5),
        ),
    ),
    Case(Dns, "dns", lambda _: DnsArgs(), (value("hosted_zone_id", "Z0123456789"),)),
    Case(
        Network,
        "network",
        _network,
        (
            value("size.cidr", "10.99.0.0/16"),
            value("size.zones", 3),
            value("size.nat", "gateway"),
        ),
        at=lambda target, args: replace(target, size=replace(target.size, network=args.size)),
    ),
    Case(
        Cluster,
        "cluster",
        _cluster,
        (
            value("size.server", MACHINES),
            value("size.agents", MACHINES),
            value("size.spot", MACHINES),
            value("size.distribution", "eks"),
            value("origin", "other.example.com"),
        ),
    ),
)

IDLE = {
    ("Postgres", "size.shared_buffers_mb", "aws"): "RDS takes a quarter of `databaseClass`",
    ("Postgres", "size.replicas", "aws"): "`databaseReplicas`",
    ("Postgres", "synchronous", "aws"): "what RDS acknowledges is on its disk, which outlives the "
    "machine (with `multiAz` on two); replicas follow by themselves",
    ("Redis", "size.max_memory_mb", "aws"): "`redisNodeType`",
    ("Redis", "size.shards", "aws"): "the phase's, from phase 1 on as a cluster",
    ("Redis", "size.replicas", "aws"): "the phase's",
    ("Cdn", "size.cache_mb", "aws"): "CloudFront keeps what it likes",
    ("Cdn", "origin_secret", "local"): "the edge listens on loopback, so nobody passes the CDN by",
    ("Monitoring", "distribution_id", "local"): "the CDN of this machine is scraped as a target",
}
"""Options that make no difference on a target, by case and path, each with the reason."""


def row(case: Case, option: Option, target: str) -> str:
    """What setting an option does on a target."""
    given = tuple(option.given().items())
    base = _declared(case, target, given, None)
    changed = _declared(case, target, given, option)
    for refusal in (base, changed):
        if isinstance(refusal, str):
            return f"refused: {refusal}"
    if changed != base:
        return "works"
    return f"idle: {IDLE.get((case.title, option.path, target), '')}"


@cache
def _declared(
    case: Case, target: str, given: tuple[tuple[str, Any], ...], option: Option | None
) -> dict[str, Any] | str:
    """Everything that a component declares and gives; or else how it refuses."""
    monitor: Monitor = RecordingMonitor()
    if target == "aws":
        monitor = OfflineMonitor("us-east-1", ACCOUNT)

    def declare() -> None:
        local = LocalTarget(Path("/nowhere"), 23900, Binaries())
        where: Target = local if target == "local" else aws_target(2)
        args = case.args(where)
        for path, other in given:
            args = _with(args, path.split("."), other)
        if option is not None:
            args = _with(args, option.path.split("."), option.other())
        if isinstance(where, AwsTarget):
            where = case.at(where, args)
        component = case.component(case.name, args, where)
        for field in fields(component.outputs):
            output = getattr(component.outputs, field.name)
            if isinstance(output, pulumi.Output | str | dict | list | tuple):
                pulumi.export(field.name, output)

    try:
        program.run(monitor, "test", {}, preview=False, program=declare)
    except (UnsupportedTargetError, ValueError) as error:
        return str(error)
    return {
        "outputs": monitor.outputs.values,
        **{
            urn: (one.inputs.values, one.protect, sorted(one.dependencies))
            for urn, one in monitor.registrations.items()
        },
    }


def _with(args: Any, path: list[str], other: Any) -> Any:
    head, *rest = path
    inner = _with(getattr(args, head), rest, other) if rest else other
    return replace(args, **{head: inner})


def paths(args: Any, prefix: str = "") -> Iterator[str]:
    """Every option of arguments: their fields, and of sizes those within. What a component must be
    given by another one is no option."""
    # The SDK's alias for inputs names these without importing them.
    names = {"Output": pulumi.Output, "T": Any}
    for name, kind in get_type_hints(type(args), localns=names).items():
        inner, path = getattr(args, name), f"{prefix}{name}"
        optional = type(None) in get_args(kind)
        if isinstance(inner, SIZES):
            yield from paths(inner, f"{path}.")
        elif type(inner).__name__.endswith("Outputs") and not optional:
            continue
        if optional or not isinstance(inner, SIZES):
            yield path


def document() -> str:
    """The text of docs/parity.md."""
    rows = []
    for case in CASES:
        for option in case.options:
            cells = " | ".join(_cell(row(case, option, target)) for target in TARGETS)
            rows.append(f"| {case.title} | `{option.path}`{option.note} | {cells} |")
    return HEAD + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    kind, _, why = text.partition(": ")
    return {"works": "works", "refused": f"refused: {why}", "idle": why}[kind].replace("|", "\\|")


if __name__ == "__main__":
    DOCUMENT.write_text(document())
