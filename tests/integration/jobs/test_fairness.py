"""Decides that requests for help are answered while a storm of claims goes on.

Counted in jobs done meanwhile, not in seconds: the machine may be slow. Ageing alone would take
40 s until a LOW job counts as HIGH.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.db import Database
from app.models import Job, Lane, Priority
from app.settings import Settings
from tests.integration.jobs.kit import Do, add, effects, eventually, record, running

pytestmark = pytest.mark.integration

MakeSettings = Callable[..., Settings]

STORM = 400  # claims that wait at any time


@pytest.fixture(params=["PostgreSQL", "streams"])
def settings(request: pytest.FixtureRequest, make_settings: MakeSettings) -> Settings:
    threads = {"worker_threads": 2, "reply_threads": 2}
    if request.param == "PostgreSQL":
        return make_settings(**threads)
    return make_settings(phase=1, redis_url=request.getfixturevalue("redis_url"), **threads)


def slow(tx: Any, job: Job) -> None:
    record(tx, job)
    time.sleep(0.005)


def waiting(database: Database) -> int:
    with database.read(fresh=True) as conn:
        [row] = conn.execute("SELECT count(*) AS n FROM jobs WHERE state = 'waiting'")
    return int(row["n"])


@contextmanager
def storm(database: Database, kind: str) -> Iterator[None]:
    """Claims that come as fast as they are done."""
    over = threading.Event()

    def blow() -> None:
        while not over.wait(0.02):
            with database.transaction() as tx:
                tx.conn.execute(
                    "INSERT INTO jobs (kind, key, priority)"
                    " SELECT %s, 'storm ' || gen_random_uuid(), 0 FROM generate_series(1, %s)",
                    (kind, max(0, STORM - waiting(database))),
                )

    thread = threading.Thread(target=blow)
    thread.start()
    try:
        eventually(lambda: waiting(database) >= STORM // 2)
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(("lane", "kind"), [(Lane.EFFECTS, "test"), (Lane.REPLIES, "reply")])
def test_help_that_is_asked_for_in_a_storm_overtakes_it(
    database: Database, settings: Settings, lane: Lane, kind: str
) -> None:
    del lane  # names the case
    with storm(database, kind), running(database, settings, {kind: Do(slow)}):
        eventually(lambda: len(effects(database)) > 20)
        for n in range(5):
            before = len(effects(database))
            add(database, f"help {n}", kind=kind, priority=Priority.LOW)
            eventually(lambda key=f"help {n}": key in effects(database))  # type: ignore[misc]
            done = effects(database)
            assert done.index(f"help {n}") - before < STORM // 2


def test_claims_keep_most_of_the_work_when_everybody_asks_for_help(
    database: Database, make_settings: MakeSettings
) -> None:
    for n in range(100):
        add(database, f"help {n}", priority=Priority.LOW)
        add(database, f"claim {n}", priority=Priority.HIGH)
    with running(database, make_settings(worker_threads=1), {"test": Do(record)}):
        eventually(lambda: len(effects(database)) == 200)
    first = effects(database)[:100]
    assert 60 <= sum(key.startswith("claim") for key in first) <= 90
