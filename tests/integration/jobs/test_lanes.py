"""Decides that effects and replies never wait for each other, whoever hangs, floods or is killed.

Real PostgreSQL, without and with Valkey. Kinds other than "reply" are effects.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import redis

from app.db import Database, Transaction
from app.jobs.dispatch import DirectSource, Relay
from app.jobs.queue import Queue, put
from app.jobs.streams import Streams, stream
from app.jobs.wakeup import hear, listen
from app.jobs.worker import Worker
from app.models import Job, Lane, Priority
from app.settings import Settings
from tests.integration.jobs.kit import (
    Do,
    add,
    effects,
    eventually,
    job_row,
    kill,
    process,
    record,
    running,
    states,
    wake,
)

pytestmark = pytest.mark.integration

MakeSettings = Callable[..., Settings]


@pytest.fixture(params=["PostgreSQL", "Valkey"])
def lanes(request: pytest.FixtureRequest, make_settings: MakeSettings) -> MakeSettings:
    """Settings without and with Redis."""
    if request.param == "PostgreSQL":
        return make_settings
    url = request.getfixturevalue("redis_url")
    return lambda **changes: make_settings(phase=1, redis_url=url, **changes)


class Hung:
    """A handler that waits for a Bluesky which does not answer, until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.entered: list[str] = []

    def prepare(self, job: Job) -> None:
        self.entered.append(job.key)
        self.go.wait(200)

    def apply(self, tx: object, job: Job, prepared: None) -> None:
        """Nothing."""


@pytest.fixture
def hung() -> Iterator[Hung]:
    handler = Hung()
    yield handler
    handler.go.set()


def flood(database: Database, kind: str, count: int, priority: Priority) -> None:
    with database.transaction() as tx:
        tx.conn.execute(
            "INSERT INTO jobs (kind, key, priority)"
            " SELECT %s, %s || ' ' || n, %s FROM generate_series(1, %s) AS n",
            (kind, kind, int(priority), count),
        )


def test_effects_are_committed_while_every_reply_hangs(
    database: Database, lanes: MakeSettings, hung: Hung
) -> None:
    flood(database, "reply", 500, Priority.HIGH)
    with running(
        database, lanes(worker_threads=2, reply_threads=3), {"test": Do(record), "reply": hung}
    ) as stop:
        eventually(lambda: len(hung.entered) == 3)
        for n in range(60):
            add(database, f"effect {n}", priority=Priority.LOW)
        eventually(lambda: len(effects(database)) == 60)
        assert len(hung.entered) == 3  # and no reply took a lease without a thread for it
        assert Counter(states(database).values())["leased"] == 3
        stop.set()
        hung.go.set()


def test_replies_are_sent_while_effects_hang_or_storm(
    database: Database, lanes: MakeSettings, hung: Hung
) -> None:
    flood(database, "test", 500, Priority.HIGH)
    with running(
        database, lanes(worker_threads=2, reply_threads=2), {"test": hung, "reply": Do(record)}
    ) as stop:
        eventually(lambda: len(hung.entered) == 2)
        for n in range(20):
            add(database, f"reply {n}", kind="reply", priority=Priority.LOW)
        eventually(lambda: len(effects(database)) == 20)
        stop.set()
        hung.go.set()


def test_a_storm_of_effects_that_each_put_a_reply_does_everything_once(
    database: Database, lanes: MakeSettings
) -> None:
    def answered(tx: Transaction, job: Job) -> None:
        record(tx, job)
        put(tx, kind="reply", key=f"re: {job.key}", payload={}, priority=job.priority)

    handlers = {"test": Do(answered), "reply": Do(record)}
    with running(database, lanes(), handlers), running(database, lanes(), handlers):
        flood(database, "test", 200, Priority.NORMAL)
        eventually(lambda: len(effects(database)) >= 400)
        eventually(lambda: set(states(database).values()) == {"done"})
    assert len(set(effects(database))) == len(effects(database)) == 400


def test_killed_processes_lose_and_repeat_nothing_in_either_lane(
    database: Database, lanes: MakeSettings
) -> None:
    settings = lanes(lease_seconds=3, worker_threads=2, reply_threads=2)
    keys = [f"{kind} {n}" for n in range(30) for kind in ("test", "reply")]
    for key in keys:
        add(database, key, kind=key.split()[0], payload={"seconds": 0.05})
    for done in (5, 20, 35):
        with process(settings) as one, process(settings) as two:
            eventually(lambda at_least=done: len(effects(database)) >= at_least)  # type: ignore[misc]
            kill(one)
            kill(two)
    with process(settings):
        eventually(lambda: set(states(database).values()) == {"done"})
    assert sorted(effects(database)) == sorted(keys)


def test_draining_waits_for_both_lanes(database: Database, lanes: MakeSettings) -> None:
    started = threading.Barrier(3)

    def slow(tx: Transaction, job: Job) -> None:
        started.wait(60)
        time.sleep(0.5)
        record(tx, job)

    add(database, "effect")
    add(database, "reply", kind="reply")
    with running(database, lanes(), {"test": Do(slow), "reply": Do(slow)}) as stop:
        started.wait(60)
        stop.set()
    assert sorted(effects(database)) == ["effect", "reply"]
    assert set(states(database).values()) == {"done"}


def test_a_hanging_reply_keeps_its_lease(
    database: Database, lanes: MakeSettings, hung: Hung
) -> None:
    settings = lanes(lease_seconds=5)
    with (
        running(database, settings, {"reply": hung}),
        running(database, settings, {"reply": hung}),
    ):
        add(database, "a", kind="reply")
        eventually(lambda: hung.entered == ["a"])
        time.sleep(7)
        assert hung.entered == ["a"]
        hung.go.set()
        eventually(lambda: states(database) == {"a": "done"})
    assert job_row(database, "a")["attempts"] == 1


def test_a_lane_that_breaks_ends_the_worker(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Job]:
        raise ZeroDivisionError

    stop = threading.Event()
    monkeypatch.setattr(DirectSource, "take", broken)
    with pytest.raises(ZeroDivisionError):
        Worker(database, {}, settings).run(stop)
    assert stop.is_set()


def test_urgency_orders_each_lane_by_itself(database: Database) -> None:
    queue = Queue(database)
    for priority in (Priority.LOW, Priority.HIGH):
        add(database, f"effect {priority.name}", priority=priority)
        add(database, f"reply {priority.name}", kind="reply", priority=priority)
    assert [job.key for job in queue.lease(Lane.REPLIES, 9, "w", 30)] == ["reply HIGH", "reply LOW"]
    assert [job.key for job in queue.lease(Lane.EFFECTS, 1, "w", 30)] == ["effect HIGH"]


def test_replies_never_go_over_redis(database: Database, database_url: str, redis_url: str) -> None:
    relay = Relay(database, database_url, Streams(redis_url))
    relay.start()
    try:
        add(database, "reply", kind="reply", priority=Priority.HIGH, waited=1)
        add(database, "effect", priority=Priority.HIGH)
        with closing(redis.Redis.from_url(redis_url)) as client:
            eventually(lambda: client.xlen(stream(Priority.HIGH)) > 0)
            assert client.xlen(stream(Priority.HIGH)) == 1
    finally:
        relay.stop()
        wake(database)
        relay.join(60)
    # Ids of replies that a relay of the version before has left there are passed over.
    ids = [int(job_row(database, key)["id"]) for key in ("reply", "effect")]
    assert [job.key for job in Queue(database).lease_ids(ids, "w", 30)] == ["effect"]


def test_a_job_wakes_its_own_lane_only(database: Database, database_url: str) -> None:
    with (
        closing(listen(database_url, Lane.EFFECTS)) as effects,
        closing(listen(database_url, Lane.REPLIES)) as replies,
    ):
        add(database, "reply", kind="reply")
        assert hear(replies, 10)
        assert not hear(effects, 0.3)
        add(database, "effect")
        assert hear(effects, 10)
        assert not hear(replies, 0.3)
