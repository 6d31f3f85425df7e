"""What the program declares, phase by phase, on a monitor that records and deploys nothing.

Whether the declared processes run is decided by tests/e2e.
"""

import asyncio
import json
from pathlib import Path

import pulumi
import pytest

from infra.engine import program
from infra.phases import PHASES
from tests.recording import SENTINEL, RecordingMonitor, plain_texts, record

OUTPUTS = {
    "phase",
    "target",
    "web_url",
    "api_url",
    "status_url",
    "bot_handle",
    "operator_password",
    "database_url",
    "reader_url",
    "replica_urls",
    "redis_url",
    "purge_url",
    "purge_token",
    "distribution_id",
    "cost",
    "kubeconfig",
    "name_servers",
    "endpoints",
    "slo",
}


@pytest.fixture(params=sorted(PHASES))
def phase(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_resource_descends_from_a_component(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    for registration in monitor.registrations.values():
        if registration.custom:
            parent = monitor.registrations[registration.parent]
            assert not parent.custom
            assert parent.type.startswith("etcetera:")


def test_names_are_unique_within_a_stack(tmp_path: Path, phase: str) -> None:
    names = [r.name for r in record(tmp_path, phase=phase).registrations.values() if r.custom]
    assert len(names) == len(set(names))


def test_generated_secrets_never_appear_in_plain(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    for registration in monitor.registrations.values():
        leaks = [text for text in plain_texts(registration) if SENTINEL in text]
        assert not leaks, registration.urn
        assert SENTINEL not in str(registration.inputs.values.get("command"))
    for name, value in monitor.outputs.values.items():
        if SENTINEL in str(value):
            assert name in monitor.outputs.secrets


def test_given_secrets_never_appear_in_plain(tmp_path: Path) -> None:
    monitor = record(
        tmp_path,
        phase="1",
        databaseUrl=f"postgresql://u:{SENTINEL}@db.example/x",
        redisUrl=f"rediss://:{SENTINEL}@cache.example:6379",
        blueskyUrl="https://bsky.example",
        blueskyHandle="bot.example.com",
        blueskyPassword=SENTINEL,
    )
    for registration in monitor.registrations.values():
        assert not [text for text in plain_texts(registration) if SENTINEL in text]
    assert {"database_url", "redis_url"} <= monitor.outputs.secrets


def test_every_stack_has_the_same_outputs(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    assert set(monitor.outputs.values) == OUTPUTS
    secrets = {"database_url", "reader_url", "replica_urls", "redis_url", "purge_token"}
    assert secrets | {"operator_password"} <= monitor.outputs.secrets


def test_redis_comes_with_phase_1(tmp_path: Path) -> None:
    def types(phase: str) -> set[str]:
        return {r.type for r in record(tmp_path, phase=phase).registrations.values()}

    assert "etcetera:data:Redis" not in types("0")
    assert "etcetera:data:Redis" in types("1")


def test_postgres_has_replicas_from_phase_2_on(tmp_path: Path) -> None:
    monitor = record(tmp_path, phase="2")
    members = [f"postgres-{n}" for n in (1, 2, 3)]
    etcd_access = monitor.named("etcd-access").urn
    for name in members:
        assert etcd_access in monitor.named(name).dependencies
    settled = monitor.named("postgres-cluster")
    assert {monitor.named(name).urn for name in members} <= set(settled.dependencies)
    # Nothing uses the database before all replicas follow.
    assert settled.urn in monitor.named("app-migrations").dependencies
    assert not [r for r in monitor.registrations.values() if r.custom and r.name == "postgres"]


def test_synchronous_commits_are_a_setting(tmp_path: Path) -> None:
    def mode(**config: str) -> object:
        cluster = record(tmp_path, phase="2", **config).named("postgres-cluster")
        return json.loads(cluster.inputs.values["environment"]["SETTINGS"])["synchronous_mode"]

    assert mode() == "quorum"
    assert mode(synchronousCommit="false") is False


def test_existing_servers_are_used_in_place_of_deploying_them(tmp_path: Path) -> None:
    monitor = record(
        tmp_path,
        phase="1",
        databaseUrl="postgresql://u:p@db.example/x",
        redisUrl="rediss://:p@cache.example:6379",
    )
    names = {r.name for r in monitor.registrations.values() if r.custom}
    assert not {"postgres", "redis"} & names
    environment = monitor.named("web").inputs.values["environment"]
    assert environment["DATABASE_URL"] == "postgresql://u:p@db.example/x"
    assert environment["REDIS_URL"] == "rediss://:p@cache.example:6379"


def test_only_processes_that_talk_to_bluesky_get_its_password(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    assert "BLUESKY_PASSWORD" in monitor.named("worker-1").inputs.values["environment"]
    assert "BLUESKY_PASSWORD" in monitor.named("ingest").inputs.values["environment"]
    assert "BLUESKY_PASSWORD" not in monitor.named("web").inputs.values["environment"]


def test_as_many_accounts_share_the_replies_as_the_phase_says(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    accounts = json.loads(monitor.named("bluesky").inputs.values["environment"]["ACCOUNTS"])
    assert len(accounts) == PHASES[int(phase)].workload.bot_accounts
    assert all(account["bot"] for account in accounts)
    assert all("@etcetera.test" in account["description"] for account in accounts[1:])
    for name in ("ingest", "worker-1"):
        couriers = monitor.named(name).inputs.values["environment"]["BLUESKY_COURIERS"]
        assert json.loads(couriers) == [
            {"handle": account["handle"], "password": account["password"]}
            for account in accounts[1:]
        ]


def test_accounts_elsewhere_are_used_as_they_are_configured(tmp_path: Path) -> None:
    couriers = json.dumps([{"handle": "courier.example", "password": SENTINEL}])
    account = {
        "blueskyUrl": "https://pds.example",
        "blueskyHandle": "bot.example",
        "blueskyPassword": SENTINEL,
        "blueskyCouriers": couriers,
    }
    monitor = record(tmp_path, phase="2", **account)
    environment = monitor.named("worker-1").inputs.values["environment"]
    assert environment["BLUESKY_COURIERS"] == couriers
    for registration in monitor.registrations.values():
        assert not [text for text in plain_texts(registration) if SENTINEL in text]


def test_only_the_website_knows_the_operators_password(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    given = {
        r.name: r.inputs.values["environment"]["OPERATOR_PASSWORD"]
        for r in monitor.registrations.values()
        if "OPERATOR_PASSWORD" in r.inputs.values.get("environment", {})
    }
    assert given == {"web": monitor.outputs.values["operator_password"]}


def test_the_app_starts_only_after_the_migrations(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    migrations = monitor.named("app-migrations").urn
    for name in ("web", "ingest", "worker-1"):
        assert migrations in monitor.named(name).dependencies


def test_a_phase_with_objectives_is_watched_whole(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    endpoints = monitor.outputs.values["endpoints"]["metrics"]
    limits = monitor.outputs.values["slo"]
    assert ("monitor" in endpoints) == bool(limits)
    if limits:
        environment = monitor.named("monitor").inputs.values["environment"]
        assert json.loads(environment["MONITOR_OBJECTIVES"]) == limits
        others = {name: url for name, url in endpoints.items() if name != "monitor"}
        assert json.loads(environment["MONITOR_TARGETS"]) == others


def test_all_pools_together_fit_the_servers_connections(phase: str) -> None:
    size = PHASES[int(phase)]
    # What is left serves migrations, psql and the next phase's replication.
    assert size.workload.connections <= size.postgres.max_connections - 10


def test_the_stack_file_can_ask_for_more_workers(tmp_path: Path) -> None:
    monitor = record(tmp_path, phase="1", workers="4")
    workers = [r.name for r in monitor.registrations.values() if r.name.startswith("worker-")]
    assert sorted(workers) == ["worker-1", "worker-2", "worker-3", "worker-4"]


def test_from_phase_2_on_a_pool_of_workers_is_scaled_within_the_bounds_of_the_phase(
    tmp_path: Path, phase: str
) -> None:
    monitor, size = record(tmp_path, phase=phase), PHASES[int(phase)].workload
    workers = {
        r.name: r.inputs.values.get("pool")
        for r in monitor.registrations.values()
        if r.name.startswith("worker-")
    }
    assert len(workers) == size.most_workers
    scalers = [r for r in monitor.registrations.values() if r.name == "autoscaler"]
    if size.scaling is None:
        assert not scalers
        assert set(workers.values()) == {None}
        return
    assert workers == {
        f"worker-{n}": {"name": "workers", "ordinal": n, "least": size.workers}
        for n in range(1, size.scaling.maximum + 1)
    }
    environment = scalers[0].inputs.values["environment"]
    assert environment["AUTOSCALER_LEAST"] == str(size.workers)
    assert environment["AUTOSCALER_MOST"] == str(size.scaling.maximum)
    assert environment["AUTOSCALER_SIZE_FILE"] == str(tmp_path / "stack/pools/workers")
    assert "BLUESKY_PASSWORD" not in environment
    assert {"autoscaler", *workers} <= set(monitor.outputs.values["endpoints"]["metrics"])


def test_a_fixed_number_of_workers_is_not_scaled(tmp_path: Path) -> None:
    monitor = record(tmp_path, phase="2", workers="4")
    names = {r.name: r for r in monitor.registrations.values()}
    assert "autoscaler" not in names
    assert "worker-4" in names
    assert "worker-5" not in names
    assert "pool" not in names["worker-1"].inputs.values


def test_only_what_speaks_with_bluesky_waits_for_it(tmp_path: Path) -> None:
    monitor = record(tmp_path, phase="1")
    network = monitor.named("bluesky").urn
    assert network in monitor.named("ingest").dependencies
    for name in ("app-migrations", "web", "worker-1"):
        assert network not in monitor.named(name).dependencies


def test_a_refused_configuration_registers_nothing() -> None:
    monitor = RecordingMonitor()
    with pytest.raises(pulumi.RunError, match="etcetera:phase"):
        program.run(monitor, "test", {"etcetera:phase": "7"}, preview=False)
    assert not monitor.registrations


def test_a_cdn_stands_before_the_edge_where_a_phase_has_one(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    outputs, with_cdn = monitor.outputs.values, PHASES[int(phase)].cdn is not None
    assert outputs["web_url"] == "http://localhost:23900"
    assert bool(outputs["purge_url"]) == bool(outputs["purge_token"]) == with_cdn
    assert ("cdn" in outputs["endpoints"]["metrics"]) == with_cdn
    edge = monitor.named("edge").inputs.values
    assert edge["ports"] == [23902 if with_cdn else 23900]
    # Whoever may reach the edge would otherwise choose the address he is taken for.
    assert ("real_ip_header" in edge["files"]["nginx.conf"]) == with_cdn
    if with_cdn:
        cdn = monitor.named("cdn")
        assert monitor.named("edge").urn in cdn.dependencies
        assert "server 127.0.0.1:23902 " in cdn.inputs.values["files"]["nginx.conf"]


def test_every_server_listens_on_loopback_only(tmp_path: Path, phase: str) -> None:
    monitor = record(tmp_path, phase=phase)
    assert "listen 127.0.0.1:" in monitor.named("edge").inputs.values["files"]["nginx.conf"]
    if phase in ("0", "1"):
        postgres = monitor.named("postgres").inputs.values["files"]["postgresql.conf"]
        assert "listen_addresses = '127.0.0.1'" in postgres
    else:
        member = json.loads(monitor.named("postgres-1").inputs.values["files"]["patroni.json"])
        for part in ("postgresql", "restapi"):
            assert member[part]["listen"].startswith("127.0.0.1:")
        listening = [
            word for word in monitor.named("etcd").inputs.values["command"] if "--listen" in word
        ]
        assert len(listening) == 2
        assert all("=http://127.0.0.1:" in word for word in listening)
    if phase != "0":
        redis = monitor.named("redis" if phase == "1" else "redis-1")
        (configuration,) = redis.inputs.values["files"].values()
        assert "bind 127.0.0.1\n" in configuration


def test_the_program_runs_beside_an_event_loop_of_the_caller(tmp_path: Path) -> None:
    async def caller() -> RecordingMonitor:
        return record(tmp_path, phase="0")

    assert asyncio.run(caller()).registrations
