"""Decides what workers do with jobs, in threads and in processes that are killed.

Real PostgreSQL. Redis comes in with test_dispatch.py. Times are limits for a busy machine.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from app.db import Database
from app.errors import Reject, Retry
from app.jobs.policy import MAX_ATTEMPTS
from app.jobs.queue import Queue
from app.models import Job, Priority
from app.settings import Settings
from tests.integration.jobs.kit import (
    Do,
    add,
    effects,
    eventually,
    expire_leases,
    job_row,
    kill,
    process,
    record,
    running,
    states,
)

pytestmark = pytest.mark.integration

MakeSettings = Callable[..., Settings]


def test_jobs_are_done_as_they_are_put_and_after_their_delay(
    database: Database, settings: Settings
) -> None:
    with running(database, settings, {"test": Do(record)}):
        add(database, "delayed", delay=3)
        add(database, "now")
        eventually(lambda: len(effects(database)) == 2)
    assert effects(database) == ["now", "delayed"]
    with database.read() as conn:
        [early] = conn.execute(
            "SELECT min(effects.at - run_at) AS by FROM effects JOIN jobs USING (key)"
        )
    assert early["by"] >= timedelta(0)


def test_a_failing_job_is_retried_later_and_its_effect_rolled_back(
    database: Database, settings: Settings
) -> None:
    tries, go_on = Counter[str](), threading.Event()

    def fail_once(tx: Any, job: Job) -> None:
        tries[job.key] += 1
        if tries[job.key] > 1:
            assert go_on.wait(60)
        record(tx, job)
        if tries[job.key] == 1:
            raise ValueError("broken")

    with running(database, settings, {"test": Do(fail_once)}):
        add(database, "a")
        eventually(lambda: job_row(database, "a")["last_error"] == "ValueError: broken")
        assert effects(database) == []
        go_on.set()
        eventually(lambda: states(database)["a"] == "done")
    assert effects(database) == ["a"]
    assert job_row(database, "a")["attempts"] == 2


def test_a_rejected_job_and_one_nobody_can_handle_are_dead_at_once(
    database: Database, settings: Settings, queue: Queue
) -> None:
    def reject(_tx: Any, _job: Job) -> None:
        raise Reject("malformed")

    with running(database, settings, {"test": Do(reject)}):
        add(database, "a")
        add(database, "b", kind="unheard of")
        eventually(lambda: len(queue.dead()) == 2)
    errors = {job.key: job.last_error or "" for job in queue.dead()}
    assert errors["a"] == "malformed"
    assert "no handler" in errors["b"]


def test_the_eighth_failure_makes_a_dead_letter(
    database: Database, settings: Settings, queue: Queue
) -> None:
    def fail(_tx: Any, _job: Job) -> None:
        raise ValueError("always")

    add(database, "a")
    with database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET attempts = %s", (MAX_ATTEMPTS - 1,))
    with running(database, settings, {"test": Do(fail)}):
        eventually(lambda: states(database)["a"] == "dead")
    assert queue.dead()[0].last_error == "ValueError: always"


def test_a_job_that_waits_for_something_never_dies_of_it(
    database: Database, settings: Settings
) -> None:
    tries = Counter[str]()

    def wait(_tx: Any, job: Job) -> None:
        tries[job.key] += 1
        if tries[job.key] <= MAX_ATTEMPTS + 2:
            raise Retry(timedelta(0), "over budget")

    with running(database, settings, {"test": Do(wait)}):
        add(database, "a")
        eventually(lambda: states(database)["a"] == "done")
    assert job_row(database, "a")["attempts"] == 1


def test_a_handler_that_breaks_its_transaction_only_fails_its_own_job(
    database: Database, settings: Settings
) -> None:
    def divide(tx: Any, job: Job) -> None:
        if job.key == "bad":
            tx.conn.execute("SELECT 1 / 0")
        record(tx, job)

    with running(database, settings, {"test": Do(divide)}):
        add(database, "bad", priority=Priority.HIGH)
        add(database, "good")
        eventually(lambda: effects(database) == ["good"])
        eventually(lambda: "division" in (job_row(database, "bad")["last_error"] or ""))


def test_draining_ends_running_jobs_and_starts_no_more(
    database: Database, make_settings: MakeSettings
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: Any, job: Job) -> None:
        started.set()
        go_on.wait(60)
        record(tx, job)

    add(database, "a")
    add(database, "b")
    with running(database, make_settings(worker_threads=1), {"test": Do(slow)}) as stop:
        assert started.wait(60)
        stop.set()
        go_on.set()
    assert effects(database) == ["a"]
    assert (job_row(database, "b")["state"], job_row(database, "b")["attempts"]) == ("waiting", 0)


def test_what_has_not_ended_in_time_is_given_back_and_cannot_be_committed_any_more(
    database: Database, make_settings: MakeSettings
) -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def hang(tx: Any, job: Job) -> None:
        if not started.is_set():
            started.set()
            go_on.wait(60)
            record(tx, job)
            ended.set()
        record(tx, job)

    add(database, "a")
    settings = make_settings(worker_threads=1, drain_seconds=0.2, lease_seconds=60)
    with running(database, settings, {"test": Do(hang)}) as stop:
        assert started.wait(60)
        stop.set()
    assert (job_row(database, "a")["state"], job_row(database, "a")["attempts"]) == ("waiting", 0)
    with running(database, settings, {"test": Do(hang)}):  # long before the lease runs out
        eventually(lambda: states(database)["a"] == "done")
    go_on.set()
    assert ended.wait(60)
    assert effects(database) == ["a"]


def test_a_long_job_keeps_its_lease(database: Database, make_settings: MakeSettings) -> None:
    def long(tx: Any, job: Job) -> None:
        time.sleep(7)
        record(tx, job)

    settings = make_settings(lease_seconds=5)
    with (
        running(database, settings, {"test": Do(long)}),
        running(database, settings, {"test": Do(long)}),
    ):
        add(database, "a")
        eventually(lambda: states(database)["a"] == "done")
    assert effects(database) == ["a"]
    assert job_row(database, "a")["attempts"] == 1


def test_a_worker_that_lost_its_lease_while_working_leaves_no_effect(
    database: Database, settings: Settings
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(tx: Any, job: Job) -> None:
        record(tx, job)
        if job.attempts == 1:
            started.set()
            go_on.wait(60)

    with running(database, settings, {"test": Do(slow)}):
        add(database, "a")
        assert started.wait(60)
        expire_leases(database)
        eventually(lambda: states(database)["a"] == "done")
        go_on.set()
    assert effects(database) == ["a"]


def test_two_workers_share_the_work_and_each_effect_happens_once(
    database: Database, settings: Settings
) -> None:
    keys = [f"job {n}" for n in range(120)]
    with (
        running(database, settings, {"test": Do(record)}),
        running(database, settings, {"test": Do(record)}),
    ):
        for key in keys * 2:
            add(database, key)
        eventually(lambda: len(effects(database)) >= len(keys))
        eventually(lambda: set(states(database).values()) == {"done"})
    assert sorted(effects(database)) == sorted(keys)


def test_workers_go_on_when_the_database_has_dropped_all_connections(
    database: Database, settings: Settings, postgres: Any
) -> None:
    with running(database, settings, {"test": Do(record)}):
        add(database, "before")
        eventually(lambda: effects(database) == ["before"])
        with psycopg.connect(postgres.url(), autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> pg_backend_pid()",
                (settings.database_url.get_secret_value().rsplit("/", 1)[1],),
            )
        add(database, "after")
        eventually(lambda: effects(database) == ["before", "after"])


def test_a_failover_is_no_failure_of_the_job_it_interrupts(
    database: Database, settings: Settings
) -> None:
    tries = Counter[str]()

    def interrupted(tx: Any, job: Job) -> None:
        record(tx, job)
        tries[job.key] += 1
        if tries[job.key] < 3:
            tx.conn.execute("SELECT pg_terminate_backend(pg_backend_pid(), 5000)")

    add(database, "a")
    with database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET attempts = %s", (MAX_ATTEMPTS - 1,))
    with running(database, settings, {"test": Do(interrupted)}):
        eventually(lambda: states(database)["a"] == "done")
    assert (tries["a"], effects(database)) == (3, ["a"])
    assert job_row(database, "a")["attempts"] == MAX_ATTEMPTS


def test_killed_processes_lose_no_job_and_repeat_no_effect(
    database: Database, make_settings: MakeSettings
) -> None:
    settings = make_settings(lease_seconds=3, worker_threads=2)
    keys = [f"job {n}" for n in range(60)]
    for key in keys:
        add(database, key, payload={"seconds": 0.05})
    for done in (5, 20, 35):
        with process(settings) as one, process(settings) as two:
            eventually(lambda at_least=done: len(effects(database)) >= at_least)  # type: ignore[misc]
            kill(one)
            kill(two)
    with process(settings):
        eventually(lambda: set(states(database).values()) == {"done"})
    assert sorted(effects(database)) == sorted(keys)


def test_a_job_that_kills_its_worker_ends_as_a_dead_letter_and_others_go_on(
    database: Database, make_settings: MakeSettings, queue: Queue
) -> None:
    settings = make_settings(lease_seconds=1, worker_threads=1)
    add(database, "poison", kind="poison", priority=Priority.HIGH)
    add(database, "good", priority=Priority.LOW)
    with database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET attempts = %s WHERE key = 'poison'", (MAX_ATTEMPTS - 1,))
    with process(settings) as victim:
        assert victim.wait(60) == -signal.SIGKILL
    assert states(database) == {"poison": "leased", "good": "waiting"}
    with process(settings):
        eventually(lambda: states(database) == {"poison": "dead", "good": "done"})
    assert "worker died" in (queue.dead()[0].last_error or "")


def test_a_process_with_a_job_that_hangs_ends_nevertheless_and_others_do_the_job(
    database: Database, make_settings: MakeSettings
) -> None:
    add(database, "a", payload={"seconds": 3600})
    settings = make_settings(worker_threads=1, drain_seconds=0.5, lease_seconds=60)
    with process(settings) as child:
        eventually(lambda: states(database)["a"] == "leased")
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    assert job_row(database, "a")["state"] == "waiting"
    with database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET payload = '{}'")
    with process(settings):
        eventually(lambda: effects(database) == ["a"])


def test_sigterm_drains_a_process(database: Database, make_settings: MakeSettings) -> None:
    add(database, "a", payload={"seconds": 5})
    with process(make_settings(worker_threads=1)) as child:
        eventually(lambda: states(database)["a"] == "leased")
        add(database, "b")
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    assert effects(database) == ["a"]
    assert states(database) == {"a": "done", "b": "waiting"}
