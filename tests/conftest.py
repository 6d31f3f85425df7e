"""Fixtures shared by all suites: real servers once per session, fresh data for each test."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest
import redis
from psycopg.sql import SQL, Identifier

from app.db import Database
from app.migrations import migrate
from app.redis import SILENT
from app.settings import Settings
from tests.servers import (
    PostgresServer,
    ValkeyCluster,
    ValkeyServer,
    postgres_server,
    valkey_cluster,
    valkey_server,
)

TEMPLATE = "template_etcetera"
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with valkey_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[ValkeyCluster]:
    with valkey_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    """A migrated, empty database, to be cloned: ten times faster than migrating for each test."""
    _administer(postgres, SQL("CREATE DATABASE {}").format(Identifier(TEMPLATE)))
    migrate(postgres.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def empty_database_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of one's own without any table."""
    yield from _own_database(postgres, "template1")


@pytest.fixture
def database_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A migrated database of one's own."""
    yield from _own_database(postgres, migrated_template)


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """An empty Valkey; with "cluster" as its parameter, an empty cluster."""
    if getattr(request, "param", "server") == "cluster":
        cluster: ValkeyCluster = request.getfixturevalue("cluster")
        return cluster.url()
    valkey: ValkeyServer = request.getfixturevalue("valkey")
    with redis.Redis.from_url(valkey.url()) as client:
        client.flushall()
    return valkey.url()


@pytest.fixture
def cluster(shared_cluster: ValkeyCluster) -> Iterator[ValkeyCluster]:
    """A whole and empty cluster, whose nodes a test may kill, hang and start."""
    shared_cluster.heal()
    SILENT.clear()  # what an earlier test made clients believe of its nodes
    yield shared_cluster
    shared_cluster.signal(signal.SIGCONT)


@pytest.fixture
def make_settings(database_url: str) -> Callable[..., Settings]:
    """Builds settings of a phase 0 stack; keyword arguments replace variables (in lower case)."""

    def make(**changes: object) -> Settings:
        env = {
            "PHASE": "0",
            "DATABASE_URL": database_url,
            "PUBLIC_URL": "http://127.0.0.1:8080",
            "SECRET_KEY": "k" * 64,
            "BLUESKY_URL": "http://127.0.0.1:2583",
            "BLUESKY_HANDLE": "etcetera.test",
            "BLUESKY_PASSWORD": "an-app-password",
            "LOG_FORMAT": "console",
        }
        env |= {name.upper(): str(value) for name, value in changes.items()}
        return Settings.from_env(env)

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with Database.open(settings) as opened:
        yield opened


def _own_database(server: PostgresServer, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _administer(
        server, SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template))
    )
    try:
        yield server.url(name)
    finally:
        # FORCE: a test that failed may have left connections behind.
        _administer(server, SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _administer(server: PostgresServer, statement: psycopg.sql.Composed) -> None:
    with psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute(statement)
