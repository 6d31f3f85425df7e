"""Every component keeps the same contract on every target.

Each case is a component with arguments, run on the recording monitor. What a backend's servers
really do is decided by tests/integration and tests/e2e.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.base import Component, UnsupportedTargetError
from components.bluesky import Account, Bluesky, BlueskyArgs
from components.bluesky.ports import BlueskyOutputs
from components.cdn import Cdn, CdnArgs
from components.edge import Edge, EdgeArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.postgres import Postgres, PostgresArgs
from components.postgres.ports import PostgresOutputs
from components.redis import Redis, RedisArgs
from components.redis.ports import RedisOutputs
from components.target import Binaries, LocalTarget, Target
from components.workload import Workload, WorkloadArgs
from infra.engine import program
from infra.phases import PHASES
from tests.recording import SENTINEL, RecordingMonitor, plain_texts

PHASE = PHASES[1]
assert PHASE.redis is not None


def known(value: str) -> pulumi.Output[str]:
    return pulumi.Output.from_input(value)


def workload_args() -> WorkloadArgs:
    return WorkloadArgs(
        phase=PHASE,
        size=PHASE.workload,
        database=PostgresOutputs(
            url=pulumi.Output.secret(f"postgresql://u:{SENTINEL}@h/d"),
            reader_url=pulumi.Output.secret(f"postgresql://u:{SENTINEL}@h/d"),
            replica_urls=pulumi.Output.secret([]),
        ),
        redis=RedisOutputs(url=pulumi.Output.secret(f"redis://:{SENTINEL}@h:1")),
        bluesky=BlueskyOutputs(
            url=known("http://pds"),
            address=known("http://pds"),
            handle=known("bot.test"),
            password=pulumi.Output.secret(SENTINEL),
            couriers=pulumi.Output.secret("[]"),
        ),
        public_url="http://site",
        operator="operator@example.com",
        ingest="notifications",
    )


def monitoring_args() -> MonitoringArgs:
    app = workload_args()
    return MonitoringArgs(
        phase=PHASE,
        database=app.database,
        redis=app.redis,
        targets={"web": known("http://web/metrics")},
        public_url="http://site",
    )


# Arguments are made inside the program, where outputs may be.
COMPONENTS: dict[str, tuple[type[Component[Any, Any]], str, Callable[[], Any]]] = {
    "postgres": (Postgres, "postgres", lambda: PostgresArgs("d", PHASE.postgres)),
    "postgres with replicas": (
        Postgres,
        "postgres",
        lambda: PostgresArgs("d", PHASES[2].postgres),
    ),
    "external postgres": (
        Postgres,
        "postgres",
        lambda: PostgresArgs("d", PHASE.postgres, pulumi.Output.secret(f"postgresql://{SENTINEL}")),
    ),
    "redis": (Redis, "redis", lambda: RedisArgs(PHASE.redis)),  # type: ignore[arg-type]
    "redis cluster": (Redis, "redis", lambda: RedisArgs(PHASES[2].redis)),  # type: ignore[arg-type]
    "external redis": (
        Redis,
        "redis",
        lambda: RedisArgs(PHASE.redis, pulumi.Output.secret(f"rediss://{SENTINEL}")),  # type: ignore[arg-type]
    ),
    "bluesky": (Bluesky, "bluesky", BlueskyArgs),
    "bluesky with couriers": (Bluesky, "bluesky", lambda: BlueskyArgs(bot_accounts=3)),
    "external bluesky": (
        Bluesky,
        "bluesky",
        lambda: BlueskyArgs(Account("https://pds", "b.test", pulumi.Output.secret(SENTINEL))),
    ),
    "workload": (Workload, "app", workload_args),
    "monitoring": (Monitoring, "monitor", monitoring_args),
    "edge": (Edge, "edge", lambda: EdgeArgs(upstream="127.0.0.1:1")),
    "edge behind cdn": (Edge, "edge", lambda: EdgeArgs("127.0.0.1:1", behind_cdn=True)),
    "cdn": (Cdn, "cdn", lambda: CdnArgs(PHASES[2].cdn, origin="127.0.0.1:1")),
}


@dataclass
class Built:
    """A component that was declared on the recording monitor."""

    component: Component[Any, Any]
    monitor: RecordingMonitor
    outputs: dict[str, Any]
    secrets: set[str]


@pytest.fixture(params=["local"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    return {"local": LocalTarget(root=tmp_path / "s", port_base=23900, binaries=Binaries())}[
        request.param
    ]


def build(case: str, target: Target) -> Built:
    component_type, name, make_args = COMPONENTS[case]
    monitor = RecordingMonitor()
    made: list[Component[Any, Any]] = []

    def declare() -> None:
        component = component_type(name, make_args(), target)
        made.append(component)
        for field in fields(component.outputs):
            pulumi.export(field.name, getattr(component.outputs, field.name))

    program.run(monitor, "test", {}, preview=False, program=declare)
    secrets = {path.split(".")[0] for path in monitor.outputs.secrets}
    return Built(made[0], monitor, monitor.outputs.values, secrets)


@pytest.fixture(params=COMPONENTS)
def built(request: pytest.FixtureRequest, target: Target) -> Built:
    return build(str(request.param), target)


def test_its_type_is_a_token_of_this_project(built: Built) -> None:
    types = {r.type for r in built.monitor.registrations.values() if not r.custom}
    assert built.component.token in types
    assert all(token.startswith("etcetera:") for token in types)


def test_all_its_resources_descend_from_it(built: Built) -> None:
    (own,) = [
        urn
        for urn, r in built.monitor.registrations.items()
        if r.type == built.component.token and "$" not in r.urn.split("::")[2]
    ]
    for registration in built.monitor.registrations.values():
        ancestor = registration
        while ancestor.urn != own:
            assert ancestor.parent in built.monitor.registrations, registration.urn
            ancestor = built.monitor.registrations[ancestor.parent]


def test_every_output_becomes_known(built: Built) -> None:
    assert set(built.outputs) == {field.name for field in fields(built.component.outputs)}
    assert all(value is not None for value in built.outputs.values())


def test_an_output_with_a_secret_in_it_is_secret(built: Built) -> None:
    for name, value in built.outputs.items():
        if SENTINEL in str(value):
            assert name in built.secrets


def test_its_inputs_hold_no_plain_secret(built: Built) -> None:
    for registration in built.monitor.registrations.values():
        assert not [text for text in plain_texts(registration) if SENTINEL in text]


@pytest.mark.parametrize("case", [case for case in COMPONENTS if case.startswith("external")])
def test_an_external_server_deploys_nothing(case: str, target: Target) -> None:
    registrations = build(case, target).monitor.registrations.values()
    assert not [r for r in registrations if r.custom]


def test_a_target_without_a_backend_is_refused_by_name(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Edge, "targets", ("moon",))

    def declare() -> None:
        Edge("edge", EdgeArgs(upstream="127.0.0.1:1"), target)

    with pytest.raises(UnsupportedTargetError, match=r"Edge cannot run on target local.*moon"):
        program.run(RecordingMonitor(), "test", {}, preview=False, program=declare)
