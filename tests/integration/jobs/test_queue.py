"""Decides the queue's promises on real PostgreSQL, with leases taken by hand.

Workers, threads and killed processes are in test_worker.py, Redis in test_dispatch.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from app.db import Database
from app.jobs.policy import MAX_ATTEMPTS, urgency
from app.jobs.queue import LeaseLost, Queue, finish, put
from app.models import Job, Lane, Priority
from tests.integration.jobs.kit import (
    add,
    effects,
    expire_leases,
    job_row,
    record,
    states,
)

pytestmark = pytest.mark.integration


def lease(queue: Queue, count: int = 1, worker: str = "w", lane: Lane = Lane.EFFECTS) -> list[Job]:
    return queue.lease(lane, count, worker, 30)


def commit_effect(database: Database, job: Job) -> None:
    with database.transaction() as tx:
        record(tx, job)
        finish(tx, job)


def test_a_job_put_in_a_transaction_that_fails_never_existed(
    database: Database, queue: Queue
) -> None:
    def put_and_fail() -> None:
        with database.transaction() as tx:
            put(tx, kind="test", key="a", payload={}, priority=Priority.HIGH)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        put_and_fail()
    assert lease(queue) == []


def test_the_same_key_is_put_once_even_after_it_is_done(database: Database, queue: Queue) -> None:
    assert add(database, "a", payload={"n": 1})
    assert not add(database, "a", payload={"n": 2})
    [job] = lease(queue)
    assert job.payload == {"n": 1}
    with database.transaction() as tx:
        finish(tx, job)
    assert not add(database, "a")
    assert lease(queue) == []


def test_the_same_key_of_another_kind_is_another_job(database: Database, queue: Queue) -> None:
    assert add(database, "a", kind="command")
    assert add(database, "a", kind="reply")
    assert [job.kind for job in lease(queue, 5)] == ["command"]
    assert [job.kind for job in lease(queue, 5, lane=Lane.REPLIES)] == ["reply"]


def test_a_leased_job_is_not_leased_again_while_its_lease_lasts(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    assert len(lease(queue, 5)) == 1
    assert lease(queue, 5) == []


def test_urgent_jobs_come_first_and_equals_in_the_order_they_became_due(
    database: Database, queue: Queue
) -> None:
    add(database, "low", priority=Priority.LOW, waited=3)
    add(database, "normal", priority=Priority.NORMAL, waited=2)
    add(database, "high 2", priority=Priority.HIGH)
    add(database, "high 1", priority=Priority.HIGH, waited=1)
    assert [job.key for job in lease(queue, 4)] == ["high 1", "high 2", "normal", "low"]


def test_help_is_answered_in_a_storm_of_claims(database: Database, queue: Queue) -> None:
    for n in range(100):
        add(database, f"claim {n}", priority=Priority.HIGH)
    add(database, "fresh help", priority=Priority.LOW)
    add(database, "gift that waits", priority=Priority.NORMAL, waited=11)
    add(database, "help that waits", priority=Priority.LOW, waited=41)
    assert [job.key for job in lease(queue, 2)] == ["help that waits", "gift that waits"]
    assert lease(queue)[0].key.startswith("claim")


@pytest.mark.parametrize("waited", [0, 5, 15, 25, 45, 100])
def test_sql_and_python_agree_on_urgency(database: Database, queue: Queue, waited: float) -> None:
    for priority in Priority:
        add(database, priority.name, priority=priority, waited=waited + 0.5)
    order = [job.key for job in lease(queue, 3)]
    # Put one after the other, they became due in the order of Priority.
    assert order == sorted(
        (priority.name for priority in Priority),
        key=lambda name: (urgency(Priority[name], waited + 0.5), Priority[name]),
    )


def test_a_delayed_job_is_leased_when_its_time_has_come_and_not_before(
    database: Database, queue: Queue
) -> None:
    add(database, "a", delay=2)
    assert lease(queue) == []
    due = queue.next_due(Lane.EFFECTS)
    assert due is not None
    assert 0 < due <= 2
    time.sleep(due)
    assert [job.key for job in lease(queue)] == ["a"]


def test_nothing_is_due_in_an_empty_queue(queue: Queue) -> None:
    assert queue.next_due(Lane.EFFECTS) is None


def test_an_expired_lease_is_leased_again_and_counts_as_an_attempt(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    [first] = lease(queue, worker="one")
    expire_leases(database)
    [second] = lease(queue, worker="two")
    assert (first.attempts, second.attempts) == (1, 2)


def test_who_lost_the_lease_cannot_commit_an_effect(database: Database, queue: Queue) -> None:
    add(database, "a")
    [first] = lease(queue, worker="one")
    expire_leases(database)
    [second] = lease(queue, worker="two")
    with pytest.raises(LeaseLost):
        commit_effect(database, first)
    commit_effect(database, second)
    assert effects(database) == ["a"]


def test_a_worker_does_not_mistake_its_second_lease_for_its_first(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    [first] = lease(queue, worker="one")
    expire_leases(database)
    [other] = lease(queue, worker="two")
    queue.retry(other, "not yet", after=timedelta(0), failed=False)
    [again] = lease(queue, worker="one")
    with pytest.raises(LeaseLost):
        commit_effect(database, first)
    commit_effect(database, again)
    assert effects(database) == ["a"]


@pytest.mark.parametrize(
    "settle",
    [
        lambda queue, job: queue.retry(job, "late", after=timedelta(0)),
        lambda queue, job: queue.bury(job, "late"),
    ],
    ids=["retry", "bury"],
)
def test_who_lost_the_lease_cannot_settle_the_job(
    database: Database, queue: Queue, settle: Callable[[Queue, Job], None]
) -> None:
    add(database, "a")
    [first] = lease(queue, worker="one")
    expire_leases(database)
    lease(queue, worker="two")
    with pytest.raises(LeaseLost):
        settle(queue, first)
    assert job_row(database, "a")["leased_by"] == "two"


def test_an_expired_lease_that_nobody_took_over_still_counts(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    [job] = lease(queue)
    expire_leases(database)
    with database.transaction() as tx:
        finish(tx, job)
    assert states(database) == {"a": "done"}


def test_extending_keeps_the_lease_and_tells_which_are_lost(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    add(database, "b")
    one, two = queue.lease(Lane.EFFECTS, 2, "one", 30)
    expire_leases(database)
    [taken] = lease(queue, worker="two")
    kept = two if taken.id == one.id else one
    assert queue.extend([one, two], "one", 30) == {kept.id}
    assert lease(queue, 5, worker="three") == []


def test_a_released_job_is_free_at_once_and_has_lost_no_attempt(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    queue.release(lease(queue), "w")
    [job] = lease(queue)
    assert job.attempts == 1


def test_waiting_is_not_an_attempt_but_failing_is(database: Database, queue: Queue) -> None:
    add(database, "a")
    [job] = lease(queue)
    queue.retry(job, "over budget", after=timedelta(0), failed=False)
    [job] = lease(queue)
    assert job.attempts == 1
    queue.retry(job, "broken", after=timedelta(0))
    [job] = lease(queue)
    assert job.attempts == 2
    assert job.last_error == "broken"


def test_a_job_whose_worker_always_dies_becomes_a_dead_letter(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        [job] = lease(queue)
        assert job.attempts == attempt
        expire_leases(database)
    assert lease(queue) == []
    [dead] = queue.dead()
    assert dead.key == "a"
    assert "worker died" in (dead.last_error or "")


def test_a_dead_letter_can_be_requeued_with_all_its_attempts(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    [job] = lease(queue)
    queue.bury(job, "nonsense")
    assert queue.requeue(job.id)
    assert not queue.requeue(job.id)
    [again] = lease(queue)
    assert again.attempts == 1


def test_a_dead_letter_can_be_dropped_but_an_open_job_cannot(
    database: Database, queue: Queue
) -> None:
    add(database, "a")
    [job] = lease(queue)
    assert queue.drop(job.id) is None
    queue.bury(job, "nonsense")
    dropped = queue.drop(job.id)
    assert dropped is not None
    assert dropped.last_error == "nonsense"
    assert states(database) == {}


def test_ids_that_are_done_delayed_leased_or_unknown_are_not_leased(
    database: Database, queue: Queue
) -> None:
    for key in ("free", "done", "leased"):
        add(database, key)
    add(database, "delayed", delay=60)
    ids = {key: job_row(database, key)["id"] for key in states(database)}
    done, _ = queue.lease_ids([ids["done"], ids["leased"]], "w", 30)
    with database.transaction() as tx:
        finish(tx, done)
    assert [job.key for job in queue.lease_ids([*ids.values(), 10**9], "w", 30)] == ["free"]


def test_stats_count_by_lane_priority_and_state(database: Database, queue: Queue) -> None:
    add(database, "leased", priority=Priority.HIGH, waited=1)
    lease(queue)
    add(database, "due", priority=Priority.HIGH, waited=5)
    add(database, "delayed", priority=Priority.LOW, delay=60)
    add(database, "reply", kind="reply", priority=Priority.HIGH, waited=90)
    add(database, "dead", kind="other", waited=100)
    queue.bury(lease(queue)[0], "x")
    stats = queue.stats()
    high, normal, low, *replies = stats.levels
    assert [(level.lane, level.due) for level in replies] == [
        (Lane.REPLIES, 1),
        (Lane.REPLIES, 0),
        (Lane.REPLIES, 0),
    ]
    assert 90 <= replies[0].oldest < 150
    assert (high.due, high.leased, high.delayed) == (1, 1, 0)
    assert (low.due, low.leased, low.delayed) == (0, 0, 1)
    assert (normal.due, normal.oldest) == (0, 0)
    assert 5 <= high.oldest < 60
    assert stats.dead == 1


@pytest.mark.parametrize(
    "hostile", ["'; DROP TABLE jobs; --", "%s %(x)s :name", "👩‍👩‍👧 مرحبا", "\\", "a" * 5000]
)
def test_any_text_goes_through_keys_payloads_and_errors(
    database: Database, queue: Queue, hostile: str
) -> None:
    key = hostile[:200]
    add(database, key, payload={"text": hostile})
    [job] = lease(queue)
    assert (job.key, job.payload) == (key, {"text": hostile})
    queue.bury(job, hostile)
    assert queue.dead()[0].last_error == hostile[:4000]


def test_putting_notifies_when_the_transaction_commits(
    database: Database, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("LISTEN jobs_effects")
        heard: list[Any] = []
        with database.transaction() as tx:
            put(tx, kind="test", key="a", payload={}, priority=Priority.LOW)
            heard += conn.notifies(timeout=0.2)
            assert heard == []
        heard += conn.notifies(timeout=60, stop_after=1)
        assert len(heard) == 1
