"""Decides what the monitor learns of real servers and tells of it, and that nothing which is lost
or hangs takes it along. How windows are judged is decided by tests/unit/monitor."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.clock import utcnow
from app.db import Database
from app.health import Pulse
from app.migrations import migrate
from app.monitor import postgres, watch
from app.monitor.server import Server
from app.monitor.watch import Monitor
from app.settings import Settings
from tests.integration.monitor.kit import Target, eventually, target
from tests.replication import postgres_cluster
from tests.servers import ValkeyCluster, free_port, postgres_server, valkey_server

pytestmark = pytest.mark.integration

Watch = Callable[..., "Watched"]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only slow is not lost."""
    monkeypatch.setattr("app.monitor.redis.SECONDS", 5.0)
    monkeypatch.setattr("app.monitor.targets.SECONDS", 10.0)


class Watched:
    """A monitor that runs, asked as others ask it."""

    def __init__(self, monitor: Monitor, url: str) -> None:
        self.monitor = monitor
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def slo(self, window: float = 600) -> dict[str, dict[str, object]]:
        answer = self.http.get("/slo", params={"window": window}).json()
        return {found["name"]: found for found in answer["objectives"]}

    def metrics(self) -> dict[tuple[str, ...], float]:
        text = self.http.get("/metrics").text
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, *labels: str) -> float | None:
        return self.metrics().get((name, *labels))

    def rounds(self) -> int:
        return len(self.monitor.history.window(3600, time.time()).rounds)

    def looks_again(self) -> None:
        """Waits until it has looked twice more, so at all that is true by now."""
        before = self.rounds()
        eventually(lambda: self.rounds() >= before + 2, "it looks again")


@contextmanager
def watching(settings: Settings) -> Iterator[Watched]:
    monitor, stop = Monitor(settings), threading.Event()
    thread = threading.Thread(target=monitor.run, args=(stop,))
    with Server(monitor, "127.0.0.1", 0) as server:
        thread.start()
        try:
            eventually(monitor.looked.is_set, "the first look ends")
            yield Watched(monitor, f"http://127.0.0.1:{server.port}")
        finally:
            stop.set()
            thread.join(60)
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _only_our_own_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of the same process leave theirs behind, which fall silent."""
    pulse = Pulse()
    monkeypatch.setattr("app.monitor.server.PULSE", pulse)
    monkeypatch.setattr("app.monitor.watch.PULSE", pulse)


@pytest.fixture
def site() -> Iterator[Target]:
    with target() as site:
        site.says("/", "home", X_Cache="HIT")
        yield site


@pytest.fixture
def web() -> Iterator[Target]:
    with target() as web:
        web.says("/metrics", "etcetera_database_timeouts_total 7\n")
        yield web


@pytest.fixture
def make(
    make_settings: Callable[..., Settings], site: Target, web: Target
) -> Callable[..., Settings]:
    """Settings of a monitor that looks ten times a second."""

    def settings(**changes: object) -> Settings:
        usual: dict[str, object] = {
            "phase": 2,
            "monitor_seconds": 0.1,
            "monitor_site": site.url,
            "monitor_targets": json.dumps({"web": f"{web.url}/metrics"}),
            "monitor_objectives": json.dumps(
                {"uptime_ratio": 0.999, "database_connection_timeouts": 0}
            ),
        }
        return make_settings(**(usual | changes))

    return settings


def test_targets_are_scraped_and_one_that_is_gone_is_no_fault_of_the_others(
    make: Callable[..., Settings], web: Target
) -> None:
    gone = f"http://127.0.0.1:{free_port()}/metrics"
    targets = json.dumps({"web": f"{web.url}/metrics", "worker-4": gone})
    with watching(make(monitor_targets=targets)) as watched:
        assert watched.value("etcetera_up", "web") == 1
        assert watched.value("etcetera_up", "worker-4") == 0
        assert watched.slo()["database_connection_timeouts"]["verdict"] == "ok"
        web.says("/metrics", "etcetera_database_timeouts_total 9\n")
        watched.looks_again()
        found = watched.slo()["database_connection_timeouts"]
        assert (found["verdict"], found["measured"]) == ("missed", 2)


def test_processes_behind_one_name_are_watched_one_by_one_and_gone_with_their_address(
    make: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ["127.0.0.2", "127.0.0.3"]
    known = list(hosts)
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        _also({"worker.test": lambda: known}, socket.getaddrinfo),
    )
    port = free_port()
    with target(hosts[0], port) as first, target(hosts[1], port) as second:
        first.says("/metrics", "etcetera_database_timeouts_total 1\n")
        second.says("/metrics", "etcetera_database_timeouts_total 20\n")
        targets = json.dumps({"worker": f"http+dns://worker.test:{port}/metrics"})
        with watching(make(monitor_targets=targets)) as watched:
            for host in hosts:
                assert watched.value("etcetera_up", f"worker-{host}") == 1
            first.says("/metrics", "etcetera_database_timeouts_total 3\n")
            second.says("/metrics", "etcetera_database_timeouts_total 25\n")
            watched.looks_again()
            assert watched.slo()["database_connection_timeouts"]["measured"] == 2 + 5
            known.remove(hosts[1])
            watched.looks_again()
            assert watched.value("etcetera_up", f"worker-{hosts[0]}") == 1
            assert watched.value("etcetera_up", f"worker-{hosts[1]}") is None
            scraped = watched.http.get("/targets").json()
            assert [one["targets"] for one in scraped if one["labels"]["part"] != "monitor"] == [
                [f"{hosts[0]}:{port}"]
            ]


def _also(
    names: Mapping[str, Callable[[], list[str]]], otherwise: Callable[..., Any]
) -> Callable[..., Any]:
    """`getaddrinfo` that knows more names."""

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in names:
            return otherwise(host, *arguments, **options)
        return [
            place
            for address in names[host]()
            for place in otherwise(address, *arguments, **options)
        ]

    return getaddrinfo


@pytest.mark.parametrize("body", ["no metrics {", "\x00", "etcetera_mentions_total x\n"])
def test_a_target_that_makes_no_sense_is_down_and_nothing_else(
    make: Callable[..., Settings], web: Target, body: str
) -> None:
    web.says("/metrics", body + "\netcetera_database_timeouts_total many\n")
    with watching(make()) as watched:
        assert watched.value("etcetera_up", "web") == 0
        web.says("/metrics", "etcetera_database_timeouts_total 9\n")
        eventually(lambda: watched.value("etcetera_up", "web") == 1, "it is back")


def test_servers_tell_their_figures(
    make: Callable[..., Settings], database: Database, redis_url: str
) -> None:
    with watching(make(redis_url=redis_url)) as watched:
        figures = {key[0]: value for key, value in watched.metrics().items()}
        assert figures["etcetera_postgres_up"] == figures["etcetera_postgres_primary"] == 1
        assert figures["etcetera_postgres_connections"] >= 1
        assert figures["etcetera_postgres_size_bytes"] > 1_000_000
        assert figures["etcetera_redis_up"] == figures["etcetera_redis_link"] == 1
        assert figures["etcetera_redis_memory_bytes"] > 100_000
        before = figures["etcetera_postgres_commits_total"]
        for _ in range(20):
            with database.transaction() as tx:
                tx.conn.execute("SELECT 1")

        def commits() -> float:
            return {key[0]: v for key, v in watched.metrics().items()}[
                "etcetera_postgres_commits_total"
            ]

        eventually(lambda: commits() >= before + 20, "commits are counted")


def test_every_node_of_a_cluster_is_asked_also_those_nobody_named(
    make: Callable[..., Settings], cluster: ValkeyCluster
) -> None:
    first = next(iter(cluster.ports))
    url = f"redis://:{cluster.password}@127.0.0.1:{first}/0?cluster=true"
    with watching(make(redis_url=url)) as watched:
        watched.looks_again()
        metrics = watched.metrics()
        assert sum(v for key, v in metrics.items() if key[0] == "etcetera_redis_up") == 6
        assert sum(v for key, v in metrics.items() if key[0] == "etcetera_redis_primary") == 3


def test_the_queue_and_what_arrives_are_counted_where_they_are(
    make: Callable[..., Settings], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "COMMITTED_SECONDS", 1.0)
    with watching(make()) as watched:
        with database.transaction() as tx:
            tx.conn.execute(
                "INSERT INTO jobs (kind, key, priority, run_at) VALUES"
                " ('command', 'a', 0, now() - interval '9 s'), ('reply', 'b', 2, now())"
            )
            tx.conn.execute(
                "INSERT INTO mentions (uri, cid, author_did, author_handle, text, source,"
                " indexed_at, received_at) VALUES ('at://x/y/z', 'c', 'did:plc:x', 'x.test', '',"
                " 'load', %(now)s, %(now)s)",
                {"now": utcnow()},
            )
        watched.looks_again()
        assert watched.value("etcetera_jobs_open", "effects", "high", "due") == 1
        assert watched.value("etcetera_jobs_open", "replies", "low", "due") == 1
        oldest = watched.value("etcetera_jobs_oldest_seconds", "effects", "high")
        assert oldest is not None
        assert oldest >= 9
        eventually(lambda: watched.value("etcetera_mentions_received_total") == 1, "it is counted")


def test_samples_go_to_the_database_and_old_ones_go(
    make: Callable[..., Settings], database: Database
) -> None:
    with database.transaction() as tx:
        tx.conn.execute("INSERT INTO samples VALUES (now() - interval '25 hours', 'a', 'b', 1)")
    with watching(make()) as watched:
        eventually(lambda: bool(watched.http.get("/samples").json()), "it draws")
        shown = watched.http.get("/samples").json()

        def stored() -> list[tuple[str, str]]:
            with database.read(fresh=True) as conn:
                rows = conn.execute("SELECT series, label FROM samples ORDER BY 1, 2").fetchall()
            return [(row["series"], row["label"]) for row in rows]

        wanted = sorted((one["series"], one["label"]) for one in shown)
        eventually(lambda: stored() == wanted, "what is shown is stored")
        assert watched.http.get("/samples", params={"since": time.time() + 9}).json() == []


def test_the_site_counts_as_up_while_it_answers(
    make: Callable[..., Settings], site: Target
) -> None:
    site.says("/", "starting", status=502)
    ingest = f"etcetera_ingest_last_seen_timestamp_seconds {time.time()}\n"
    with target() as reading:
        reading.says("/metrics", ingest)
        targets = json.dumps({"ingest": f"{reading.url}/metrics"})
        with watching(make(monitor_targets=targets)) as watched:
            assert watched.value("etcetera_probes_total", "site", "down") is None, "not up yet"
            site.says("/", "home", X_Cache="HIT")
            watched.looks_again()
            assert watched.slo()["uptime_ratio"]["verdict"] == "ok"
            assert watched.value("etcetera_site_seconds_count", "hit")
            site.says("/", "lost", status=503)
            watched.looks_again()
            assert watched.slo()["uptime_ratio"]["verdict"] == "missed"
            assert watched.value("etcetera_probes_total", "bot", "down") is None


def test_how_far_replicas_are_behind_is_measured(
    make: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "CATCH_UP_SECONDS", 1.5)
    with postgres_cluster() as servers:
        settings = make(database_url=servers.writer_url, replica_urls=servers.urls)
        slow, fast = servers.replicas
        with watching(settings) as watched:

            def count(port: int) -> float:
                name = "etcetera_postgres_lag_seconds_count"
                return watched.value(name, f"127.0.0.1:{port}") or 0

            eventually(lambda: min(count(slow.port), count(fast.port)) >= 2, "both are measured")
            slow.ask("SELECT pg_wal_replay_pause()")
            before = count(fast.port)
            servers.primary.ask("CREATE TABLE late (n int)")
            eventually(lambda: count(fast.port) >= before + 2, "the other one is measured on")
            window = watched.monitor.history.window(3600, time.time())
            lag = "etcetera_postgres_lag_seconds"
            slowest = window.quantile(1, lag, server=f"127.0.0.1:{slow.port}")
            other = window.quantile(0.5, lag, server=f"127.0.0.1:{fast.port}")
            assert slowest is not None
            assert other is not None
            assert slowest > 1 > other


def test_whatever_hangs_the_rest_is_watched_on(make: Callable[..., Settings]) -> None:
    with postgres_server() as server, valkey_server() as valkey:
        # With its tables, so that connections last until the server hangs.
        migrate(server.url())
        settings = make(database_url=server.url(), redis_url=valkey.url())
        with watching(settings) as watched:
            pids = [valkey.pid, server.pid, *_children(server.pid)]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                eventually(
                    lambda: (
                        [
                            value
                            for key, value in watched.metrics().items()
                            if key[0] in ("etcetera_postgres_up", "etcetera_redis_up")
                        ]
                        == [0, 0]
                    ),
                    "both are known to be lost",
                )
                watched.looks_again()
                assert watched.value("etcetera_up", "web") == 1
                assert watched.http.get("/healthz").status_code == 200
                assert not [key for key in watched.metrics() if key[0] == "etcetera_jobs_open"]
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
            eventually(
                lambda: (
                    [v for k, v in watched.metrics().items() if k[0] == "etcetera_postgres_up"]
                    == [1]
                ),
                "it is back",
            )


def _children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def test_where_nothing_is_yet_it_is_ready_and_stays_until_it_is_told() -> None:
    port, nothing = free_port(), free_port()
    env = os.environ | {
        "PHASE": "1",
        "DATABASE_URL": f"postgresql://x:y@127.0.0.1:{nothing}/z",
        "REDIS_URL": f"redis://127.0.0.1:{nothing}/0",
        "PUBLIC_URL": f"http://127.0.0.1:{nothing}",
        "SECRET_KEY": "k" * 64,
        "METRICS_PORT": str(port),
        "MONITOR_TARGETS": json.dumps({"web": f"http://127.0.0.1:{nothing}/metrics"}),
        "MONITOR_OBJECTIVES": json.dumps({"page_p95_seconds": 1.0}),
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:

        def ready() -> bool:
            try:
                return http.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        process = subprocess.Popen([sys.executable, "-m", "app", "monitor"], env=env)
        try:
            eventually(ready, "it is ready")
            verdict = http.get("/slo?window=60").json()
            assert [found["verdict"] for found in verdict["objectives"]] == ["no data"]
            assert http.get("/slo?window=0").status_code == 400
            assert http.get("/slo?window=x").json()["error"].startswith("window: use a number")
            parts = {entry["labels"]["part"] for entry in http.get("/targets").json()}
            assert parts == {"web", "monitor"}
            assert http.get("/nothing").status_code == 404
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
