"""A real primary with two replicas, healed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.db import Connection, Database, servers
from app.settings import Settings
from tests.replication import Cluster, postgres_cluster, wait_until


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine replicas are late, and answers about it are old, without any reason that
    these tests give. Ten times what the app allows, in the same proportions."""
    for name in ("MAX_LAG", "CAUGHT_UP", "VALID_SECONDS"):
        monkeypatch.setattr(servers, name, 10 * getattr(servers, name))
    monkeypatch.setattr("app.db.replicas.BUSY_SECONDS", 2.0)


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    with postgres_cluster() as cluster:
        cluster.primary.ask("CREATE TABLE notes (number int PRIMARY KEY)")
        cluster.primary.ask("CREATE TABLE probes ()")
        yield cluster


@pytest.fixture
def cluster(_cluster: Cluster) -> Iterator[Cluster]:
    """Whole, level and without notes. Whatever a test kills or pauses must be as before after it;
    one that promotes takes a cluster of its own."""
    _cluster.primary.ask("TRUNCATE notes")
    _cluster.level()
    yield _cluster
    for replica in _cluster.replicas:
        replica.ask("SELECT pg_wal_replay_resume()")


def settings_of(cluster: Cluster) -> Settings:
    return Settings.from_env(
        {
            "PHASE": "2",
            "DATABASE_URL": cluster.writer_url,
            "REPLICA_URLS": cluster.urls,
            "PUBLIC_URL": "http://127.0.0.1:8080",
            "SECRET_KEY": "k" * 64,
        }
    )


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """As a web process has it, when it reads from replicas already."""
    with Database.open(settings_of(cluster)) as opened:
        wait_until(lambda: served_by(opened) != cluster.primary.port)
        yield opened


def served_by(database: Database, after: int = 0) -> int:
    """The port of the server that answers a read."""

    def load(conn: Connection) -> int:
        row = conn.execute("SELECT inet_server_port() AS port").fetchone()
        assert row is not None
        return int(row["port"])

    return database.query(load, after=after)


def note(database: Database, number: int) -> int:
    """Commits a note; returns the position after which it shows."""
    positions: list[int] = []
    with database.transaction() as tx:
        tx.conn.execute("INSERT INTO notes VALUES (%s)", (number,))
        tx.on_commit_at(positions.append)
    return positions[0]


def newest(conn: Connection) -> int:
    """The highest note, 0 for none."""
    row = conn.execute("SELECT coalesce(max(number), 0) AS newest FROM notes").fetchone()
    assert row is not None
    return int(row["newest"])
