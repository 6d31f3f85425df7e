"""Decides that jobs, cache and site go on while a cluster, or a part of it, is killed or hangs.

And that all of them use it again by themselves. Real PostgreSQL, real nodes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from app import metrics
from app.cache import WORLD, Cache, Kind, object_scope, user_scope
from app.db import Database
from app.jobs.streams import stream
from app.models import Priority
from app.settings import Settings
from app.web import create_app
from tests.integration.jobs.kit import (
    Do,
    add,
    create_effects,
    effects,
    eventually,
    record,
    running,
    states,
)
from tests.integration.web.world import World
from tests.servers import ValkeyCluster

pytestmark = pytest.mark.integration

MakeSettings = Callable[..., Settings]
Hurt = Callable[[ValkeyCluster, str], None]
NUMBER = Kind("number", TypeAdapter(int))


@pytest.fixture
def cluster_settings(make_settings: MakeSettings, cluster: ValkeyCluster) -> Settings:
    return make_settings(phase=2, redis_url=cluster.url(), lease_seconds=2)


def kill_primary(cluster: ValkeyCluster, key: str) -> None:
    cluster.signal(signal.SIGKILL, cluster.shard(key)[0])


def kill_all(cluster: ValkeyCluster, key: str) -> None:
    del key
    cluster.signal(signal.SIGKILL)


def hang_shard(cluster: ValkeyCluster, key: str) -> None:
    cluster.signal(signal.SIGSTOP, *cluster.shard(key))


def mend(cluster: ValkeyCluster) -> None:
    """What the supervisor does."""
    cluster.start_dead()
    cluster.signal(signal.SIGCONT)


outages = pytest.mark.parametrize("hurt", [kill_primary, kill_all, hang_shard])


@outages
def test_jobs_wait_in_postgresql_and_come_over_the_streams_again(
    database: Database, cluster_settings: Settings, cluster: ValkeyCluster, hurt: Hurt
) -> None:
    create_effects(database)
    by_streams = metrics.LEASED.labels(source="streams")._value
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(running(database, cluster_settings, {"test": Do(record)}))
        add(database, "before")
        eventually(lambda: effects(database) == ["before"])
        hurt(cluster, stream(Priority.HIGH))
        for n in range(30):
            add(database, f"during {n}", priority=Priority(n % 3))
        eventually(lambda: len(effects(database)) == 31)
        if hurt is not kill_primary:  # whose replica takes over
            mend(cluster)
        used = by_streams.get()

        def used_again() -> bool:
            add(database, f"after {len(states(database))}")
            return bool(by_streams.get() > used)

        eventually(used_again)
        eventually(lambda: set(states(database).values()) == {"done"})
    assert len(effects(database)) == len(set(effects(database)))


@pytest.fixture
def cache(cluster: ValkeyCluster) -> Iterator[Cache]:
    cache = Cache(cluster.url())
    yield cache
    cache.close()


def test_one_commit_outdates_values_on_several_shards(
    cache: Cache, cluster: ValkeyCluster, database: Database
) -> None:
    thing, person = uuid4(), "did:plc:a"
    scopes = [WORLD, user_scope(person), object_scope(thing)]
    for value in (0, 1):
        got = [cache.get(NUMBER, scope, "n", lambda _, v=value: v) for scope in scopes]  # type: ignore[misc]
        assert got == [value] * 3
        assert [cache.get(NUMBER, scope, "n", lambda _: 9) for scope in scopes] == [value] * 3
        with database.transaction() as tx:
            cache.claimed(tx, did=person, object_id=thing)
    assert cache.ping()
    assert len({cluster.shard(f"{{{scope}}}")[0] for scope in scopes}) > 1


@outages
def test_the_site_answers_and_counts_requests_whatever_the_cluster_does(
    database: Database, cluster_settings: Settings, cluster: ValkeyCluster, hurt: Hurt
) -> None:
    client = create_app(cluster_settings, database).test_client()
    thing = World(database).claim(World(database).person("otto.test"))
    paths = ["/", "/@otto.test", f"/objects/{thing.id}", "/search?q=a", "/api/v1/live"]
    assert [client.get(path).status_code for path in paths] == [200] * len(paths)
    assert client.get("/readyz").get_json()["redis"] == "ok"
    hurt(cluster, "{world}")
    for _ in range(3):
        assert [client.get(path).status_code for path in paths] == [200] * len(paths)
    mend(cluster)
    eventually(lambda: client.get("/readyz").get_json()["redis"] == "ok")
    assert [client.get(path).status_code for path in paths] == [200] * len(paths)
