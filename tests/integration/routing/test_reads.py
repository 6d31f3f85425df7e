"""Decides, on a real primary with two streaming replicas: who answers reads, that a replica that
lags answers none, and that nobody reads something older than the commit they know of. What happens
when servers die or hang is decided by test_losses."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from pydantic import TypeAdapter

from app.cache import WORLD, Cache, Kind
from app.db import LATEST, PRIMARY, Database, servers
from tests.integration.routing.conftest import newest, note, served_by
from tests.replication import Cluster, wait_until

pytestmark = pytest.mark.integration

NUMBER = Kind("number", TypeAdapter(int))
LATE_SECONDS = 3.0
"""By so much a replica is late for sure, however busy the machine is."""


@pytest.fixture
def writing(cluster: Cluster) -> Iterator[None]:
    """Somebody writes all the time, so that a replica that does not follow falls behind."""
    done = threading.Event()

    def write() -> None:
        for number in itertools.count(1_000_000):
            if done.wait(0.01):
                return
            cluster.primary.ask("INSERT INTO notes VALUES (%s)", number)

    writer = threading.Thread(target=write)
    writer.start()
    yield
    done.set()
    writer.join()


@contextmanager
def delayed(cluster: Cluster, seconds: float) -> Iterator[None]:
    """The replicas show what was committed only so much later."""
    for replica in cluster.replicas:
        replica.ask(f"ALTER SYSTEM SET recovery_min_apply_delay = '{seconds}s'")
        replica.ask("SELECT pg_reload_conf()")
    try:
        if seconds >= LATE_SECONDS:
            wait_until(lambda: _hold_back(cluster))
        yield
    finally:
        for replica in cluster.replicas:
            replica.ask("ALTER SYSTEM RESET recovery_min_apply_delay")
            replica.ask("SELECT pg_reload_conf()")


def _hold_back(cluster: Cluster) -> bool:
    """Whether the replicas, which hear of their new delay at some time, keep to it."""
    cluster.primary.ask("INSERT INTO probes DEFAULT VALUES")
    count = "SELECT count(*) FROM probes"
    time.sleep(LATE_SECONDS / 3)
    return all(replica.ask(count) < cluster.primary.ask(count) for replica in cluster.replicas)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No replica is ejected for its lag, so that nothing but positions keeps reads right."""
    monkeypatch.setattr(servers, "MAX_LAG", 60)
    monkeypatch.setattr(servers, "CAUGHT_UP", 60)


def test_reads_are_shared_by_the_replicas_and_writes_go_to_the_primary(
    database: Database, cluster: Cluster
) -> None:
    before = _reads("replica")
    ports = [served_by(database) for _ in range(40)]
    assert {port: ports.count(port) for port in ports} == {
        replica.port: 20 for replica in cluster.replicas
    }
    assert _reads("replica") - before == 40
    with database.transaction() as tx:
        row = tx.conn.execute("SELECT inet_server_port() AS port").fetchone()
    assert row == {"port": cluster.primary.port}


def test_fresh_reads_are_answered_by_the_primary(database: Database, cluster: Cluster) -> None:
    for _ in range(5):
        with database.read(fresh=True) as conn:
            row = conn.execute("SELECT inet_server_port() AS port").fetchone()
        assert row == {"port": cluster.primary.port}
        assert served_by(database, after=PRIMARY) == cluster.primary.port


@pytest.mark.usefixtures("writing")
def test_a_replica_that_lags_is_left_alone_until_it_has_caught_up(
    database: Database, cluster: Cluster
) -> None:
    slow, good = cluster.replicas
    slow.ask("SELECT pg_wal_replay_pause()")
    wait_until(lambda: _fresh(slow.name) == 0)
    assert _lag(slow.name) > servers.MAX_LAG
    assert {served_by(database) for _ in range(40)} == {good.port}
    good.ask("SELECT pg_wal_replay_pause()")
    wait_until(lambda: _fresh(good.name) == 0)
    assert {served_by(database) for _ in range(20)} == {cluster.primary.port}
    for replica in cluster.replicas:
        replica.ask("SELECT pg_wal_replay_resume()")
    everybody = {slow.port, good.port}
    wait_until(lambda: {served_by(database) for _ in range(4)} == everybody)


def test_on_an_idle_cluster_replicas_stay_fresh(database: Database, cluster: Cluster) -> None:
    time.sleep(3 * servers.MAX_LAG)
    ports = {served_by(database) for _ in range(20)}
    assert ports == {replica.port for replica in cluster.replicas}


@pytest.mark.usefixtures("trusting")
def test_whoever_knows_a_commit_sees_it_although_replicas_are_late(
    database: Database, cluster: Cluster
) -> None:
    with delayed(cluster, LATE_SECONDS):
        position = note(database, 7)
        assert database.query(newest) == 0, "replicas should not have it yet"
        assert database.query(newest, after=position) == 7
        # As soon as replicas have it they answer again.
        wait_until(lambda: served_by(database, after=position) != cluster.primary.port)
        assert database.query(newest, after=position) == 7


@pytest.mark.usefixtures("trusting")
def test_without_any_knowledge_reads_may_ask_for_all_that_the_primary_had(
    database: Database, cluster: Cluster
) -> None:
    with delayed(cluster, LATE_SECONDS):
        position = note(database, 7)
        wait_until(lambda: _known(database) >= position)
        assert database.query(newest) == 0, "replicas should not have it yet"
        assert database.query(newest, after=LATEST) == 7


def test_a_commit_has_no_position_unless_somebody_wants_it(database: Database) -> None:
    with database.transaction() as tx:
        tx.conn.execute("INSERT INTO notes VALUES (1)")
        tx.on_commit(lambda: None)
    assert tx.position == 0
    assert note(database, 2) > 0


@pytest.mark.usefixtures("trusting")
def test_the_cache_never_keeps_what_is_older_than_the_commit_that_outdated_it(
    database: Database, cluster: Cluster, redis_url: str
) -> None:
    cache, thing = Cache(redis_url), uuid4()
    commits = {0: 0}  # positions, and the newest note of each

    def load(after: int) -> int:
        found = database.query(newest, after=after)
        assert found >= commits.get(after, 0), "older than the commit that outdated it"
        return found

    stop = threading.Event()
    wrong: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                cache.get(NUMBER, WORLD, "n", load)
        except BaseException as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    with delayed(cluster, 0.1):
        for reader in readers:
            reader.start()
        for number in range(1, 31):
            with database.transaction() as tx:
                tx.conn.execute("INSERT INTO notes VALUES (%s)", (number,))
                tx.on_commit_at(
                    lambda position, number=number: commits.update({position: number})  # type: ignore[misc]
                )
                cache.claimed(tx, did="did:plc:a", object_id=thing)
            time.sleep(0.02)
        stop.set()
        for reader in readers:
            reader.join()
        assert wrong == []
        assert cache.get(NUMBER, WORLD, "n", load) == 30
    cache.close()


def test_of_two_commits_the_later_counts_also_when_it_is_told_first(redis_url: str) -> None:
    cache, asked = Cache(redis_url), []

    def load(after: int) -> int:
        asked.append(after)
        return 0

    for number, position in enumerate((200, 100, 300), start=1):
        cache._bump({WORLD: position})
        while len(asked) < number:  # the value before may be given once more
            cache.get(NUMBER, WORLD, "n", load)
    assert asked == [200, 200, 300]
    cache.close()


def _known(database: Database) -> int:
    """Where the primary is known to stand."""
    assert database._replicas is not None
    return database._replicas.servers.newest


def _reads(role: str) -> float:
    return _value("etcetera_reads_total", role=role)


def _fresh(server: str) -> float:
    return _value("etcetera_replica_fresh", server=server)


def _lag(server: str) -> float:
    return _value("etcetera_replica_lag_seconds", server=server)


def _value(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0
