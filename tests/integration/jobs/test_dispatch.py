"""Decides that Redis, on the way of jobs to workers, can be lost, hang, be emptied and come back.

Real PostgreSQL and Valkey. A switch in front of Valkey stands for its death and its return.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import redis

from app import metrics
from app.db import Database
from app.jobs import dispatch
from app.jobs.dispatch import WINDOW, Relay
from app.jobs.queue import Queue
from app.jobs.streams import Streams, stream
from app.models import Lane, Priority
from app.redis import ERRORS, connect, connect_to
from app.settings import Settings
from tests.integration.jobs.kit import (
    Do,
    Switch,
    add,
    effects,
    eventually,
    expire_leases,
    kill,
    process,
    record,
    running,
    states,
    wake,
)
from tests.servers import ValkeyServer, valkey_server

pytestmark = pytest.mark.integration

MakeSettings = Callable[..., Settings]

everywhere = pytest.mark.parametrize("redis_url", ["server", "cluster"], indirect=True)


@pytest.fixture
def redis_settings(make_settings: MakeSettings, redis_url: str) -> Settings:
    return make_settings(phase=1, redis_url=redis_url, lease_seconds=2)


@pytest.fixture
def switch(valkey: ValkeyServer, redis_url: str) -> Iterator[Switch]:
    del redis_url  # emptied
    switch = Switch(valkey.port)
    yield switch
    switch.close()


@pytest.fixture
def switched_settings(
    make_settings: MakeSettings, switch: Switch, valkey: ValkeyServer
) -> Settings:
    url = f"redis://:{valkey.password}@127.0.0.1:{switch.port}/0"
    return make_settings(phase=1, redis_url=url, lease_seconds=2)


@pytest.fixture
def never_redispatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "REDISPATCH_SECONDS", 3600.0)


@pytest.fixture
def relay(database: Database, database_url: str, redis_url: str) -> Iterator[Relay]:
    """A relay without any worker."""
    relay = Relay(database, database_url, Streams(redis_url))
    relay.start()
    yield relay
    relay.stop()
    wake(database)
    relay.join(60)


def leased(source: str) -> float:
    return float(metrics.LEASED.labels(source=source)._value.get())


def on_stream(redis_url: str, level: Priority) -> list[int]:
    entries: list[Any] = []

    def seen() -> bool:
        with suppress(*ERRORS), closing(connect_to(stream(level), redis_url, timeout=5)) as client:
            entries[:] = client.xrange(stream(level))  # type: ignore[assignment]
            return True
        return False

    eventually(seen)
    return [int(values["job"]) for _, values in entries]


@everywhere
def test_jobs_come_over_the_streams_and_leave_nothing_on_them(
    database: Database, redis_settings: Settings, redis_url: str
) -> None:
    before = leased("streams")
    with running(database, redis_settings, {"test": Do(record)}):
        for n in range(30):
            add(database, f"job {n}", priority=Priority(n % 3))
        add(database, "delayed", delay=0.3)
        eventually(lambda: len(effects(database)) == 31)
        eventually(lambda: not any(on_stream(redis_url, level) for level in Priority))
    assert leased("streams") > before
    assert len(set(effects(database))) == 31


def test_each_job_is_on_the_stream_of_its_urgency(
    database: Database, redis_url: str, relay: Relay
) -> None:
    del relay
    add(database, "claim", priority=Priority.HIGH)
    add(database, "old help", priority=Priority.LOW, waited=50)
    add(database, "help", priority=Priority.LOW)
    add(database, "later", priority=Priority.LOW, delay=60)
    eventually(lambda: len(on_stream(redis_url, Priority.HIGH)) == 2)
    eventually(lambda: len(on_stream(redis_url, Priority.LOW)) == 1)
    assert on_stream(redis_url, Priority.NORMAL) == []


@everywhere
def test_a_job_that_ages_on_its_stream_is_also_put_on_a_more_urgent_one(
    database: Database, redis_url: str, relay: Relay, never_redispatch: None
) -> None:
    del relay, never_redispatch
    for n in range(5):
        add(database, f"help {n}", priority=Priority.LOW)
    eventually(lambda: len(on_stream(redis_url, Priority.LOW)) == 5)
    with database.transaction() as tx:
        tx.conn.execute(
            "UPDATE jobs SET run_at = run_at - interval '50 s',"
            " dispatched_at = dispatched_at - interval '50 s'"
        )
    eventually(lambda: len(on_stream(redis_url, Priority.HIGH)) == 5)


@everywhere
def test_ids_that_redis_lost_are_leased_directly(
    database: Database,
    redis_settings: Settings,
    redis_url: str,
    relay: Relay,
    never_redispatch: None,
) -> None:
    del relay, never_redispatch
    for n in range(5):
        add(database, f"job {n}", priority=Priority.HIGH)  # which no ageing dispatches again
    eventually(lambda: len(on_stream(redis_url, Priority.HIGH)) == 5)
    with closing(connect(redis_url, timeout=5)) as client:
        client.flushall()
    with running(database, redis_settings, {"test": Do(record)}):
        eventually(lambda: len(effects(database)) == 5)


def test_the_streams_stay_short_under_a_backlog(
    database: Database, redis_url: str, relay: Relay
) -> None:
    with database.transaction() as tx:
        tx.conn.execute(
            "INSERT INTO jobs (kind, key, priority)"
            " SELECT 'test', n::text, 0 FROM generate_series(1, 1000) AS n"
        )
    eventually(lambda: len(on_stream(redis_url, Priority.HIGH)) >= WINDOW // 2)
    relay.stop()
    relay.join(60)
    assert len(on_stream(redis_url, Priority.HIGH)) <= WINDOW


def test_workers_lease_directly_while_redis_is_dead_and_use_it_again_when_it_is_back(
    database: Database, switched_settings: Settings, switch: Switch, valkey: ValkeyServer
) -> None:
    with running(database, switched_settings, {"test": Do(record)}):
        add(database, "before")
        eventually(lambda: effects(database) == ["before"])
        switch.cut()
        for n in range(20):
            add(database, f"during {n}")
        eventually(lambda: len(effects(database)) == 21)
        switch.target = valkey.port
        by_streams = leased("streams")

        def used_again() -> bool:
            add(database, f"after {len(states(database))}")
            return leased("streams") > by_streams

        eventually(used_again)
        eventually(lambda: set(states(database).values()) == {"done"})
    assert len(effects(database)) == len(set(effects(database)))


def test_workers_start_and_work_without_redis(
    database: Database, switched_settings: Settings, switch: Switch
) -> None:
    switch.cut()
    with running(database, switched_settings, {"test": Do(record)}):
        add(database, "a")
        eventually(lambda: effects(database) == ["a"])


def test_a_redis_that_is_killed_and_replaced_by_an_empty_one_loses_no_job(
    database: Database, make_settings: MakeSettings
) -> None:
    with valkey_server() as first:
        switch = Switch(first.port)
        url = f"redis://:{first.password}@127.0.0.1:{switch.port}/0"
        settings = make_settings(phase=1, redis_url=url, lease_seconds=2)
        with running(database, settings, {"test": Do(record)}):
            for n in range(100):
                add(database, f"first {n}")
            os.kill(first.pid, signal.SIGKILL)
            switch.cut()
            for n in range(20):
                add(database, f"second {n}")
            with valkey_server() as second:
                with redis.Redis.from_url(second.url()) as client:
                    client.config_set("requirepass", first.password)
                switch.target = second.port
                for n in range(20):
                    add(database, f"third {n}")
                eventually(lambda: len(effects(database)) >= 140)
                eventually(lambda: set(states(database).values()) == {"done"})
        switch.close()
    assert len(effects(database)) == len(set(effects(database))) == 140


@everywhere
def test_flushing_redis_under_load_loses_no_job(
    database: Database, redis_settings: Settings, redis_url: str
) -> None:
    with (
        running(database, redis_settings, {"test": Do(record)}),
        closing(connect(redis_url, timeout=5)) as client,
    ):
        for n in range(150):
            add(database, f"job {n}")
            if n % 30 == 0:
                client.flushall()
        eventually(lambda: len(effects(database)) >= 150)
    assert len(set(effects(database))) == 150


def test_a_redis_that_hangs_does_not_stop_the_workers(
    database: Database, make_settings: MakeSettings
) -> None:
    with valkey_server() as server:
        settings = make_settings(phase=1, redis_url=server.url())
        with running(database, settings, {"test": Do(record)}):
            add(database, "before")
            eventually(lambda: effects(database) == ["before"])
            os.kill(server.pid, signal.SIGSTOP)
            try:
                for n in range(10):
                    add(database, f"during {n}")
                eventually(lambda: len(effects(database)) == 11)
            finally:
                os.kill(server.pid, signal.SIGCONT)


def test_ids_a_dead_worker_had_read_are_dispatched_again(
    database: Database,
    redis_settings: Settings,
    redis_url: str,
    relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "REDISPATCH_SECONDS", 0.5)
    add(database, "a")
    eventually(lambda: bool(on_stream(redis_url, Priority.NORMAL)))
    lost = Streams(redis_url)
    assert lost.read(5, block=True)
    there = len(on_stream(redis_url, Priority.NORMAL))
    eventually(lambda: len(on_stream(redis_url, Priority.NORMAL)) > there)
    del relay, redis_settings


def test_stale_ids_are_taken_off_and_do_no_harm(
    database: Database, redis_settings: Settings, redis_url: str
) -> None:
    with running(database, redis_settings, {"test": Do(record)}):
        add(database, "a")
        eventually(lambda: effects(database) == ["a"])
        with database.read() as conn:
            [row] = conn.execute("SELECT id FROM jobs")
        Streams(redis_url).add(Priority.HIGH, [row["id"], row["id"], 10**9])
        eventually(lambda: on_stream(redis_url, Priority.HIGH) == [])
    assert effects(database) == ["a"]


def test_another_process_relays_when_the_leader_is_killed(
    database: Database, redis_settings: Settings, redis_url: str
) -> None:
    def leaders() -> int:
        with database.read() as conn:
            [row] = conn.execute(
                "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        return int(row["n"])

    with process(redis_settings) as first:
        eventually(lambda: leaders() == 1)
        with process(redis_settings):
            kill(first)
            before = stream_ids(redis_url)

            def relayed() -> bool:
                # What was put before there is another leader is done without the stream.
                add(database, f"job {len(states(database))}")
                return stream_ids(redis_url) > before

            eventually(relayed)
            eventually(lambda: set(states(database).values()) == {"done"})


def stream_ids(redis_url: str) -> int:
    """Entries that were ever added to the NORMAL stream."""
    with redis.Redis.from_url(redis_url) as client:
        if not client.exists(stream(Priority.NORMAL)):
            return 0
        return int(client.xinfo_stream(stream(Priority.NORMAL))["entries-added"])


def test_killed_processes_with_redis_lose_no_job_and_repeat_no_effect(
    database: Database, redis_settings: Settings, redis_url: str
) -> None:
    keys = [f"job {n}" for n in range(60)]
    for n, key in enumerate(keys):
        add(database, key, payload={"seconds": 0.05}, priority=Priority(n % 3))
    for done in (5, 25):
        with process(redis_settings) as one, process(redis_settings) as two:
            eventually(lambda at_least=done: len(effects(database)) >= at_least)  # type: ignore[misc]
            kill(one)
            with redis.Redis.from_url(redis_url) as client:
                client.flushall()
            kill(two)
    with process(redis_settings):
        eventually(lambda: set(states(database).values()) == {"done"})
    assert sorted(effects(database)) == sorted(keys)


def test_an_expired_lease_is_dispatched_again(
    database: Database, redis_url: str, relay: Relay
) -> None:
    add(database, "a")
    eventually(lambda: len(on_stream(redis_url, Priority.NORMAL)) == 1)
    Queue(database).lease(Lane.EFFECTS, 1, "dead", 30)
    expire_leases(database)
    eventually(lambda: len(on_stream(redis_url, Priority.NORMAL)) == 2)
    del relay
