"""Decides that what happens in a real queue reaches the number of workers, and who may look on.

The decision itself is decided in tests/unit/autoscaling, that workers start and stop by the number
in tests/integration/local/test_pool.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY

from app.autoscaling import controller, signals
from app.autoscaling.controller import Controller
from app.autoscaling.policy import Backlog, Signals
from app.autoscaling.size import SizeFile
from app.bot.budget import PUT, Limits
from app.clock import utcnow
from app.db import Database
from app.health import PULSE
from app.jobs.queue import Queue
from app.models import Lane
from app.settings import Settings
from tests.integration.jobs.kit import add, eventually

pytestmark = pytest.mark.integration

MakeSettings = Callable[..., Settings]


@pytest.fixture
def file(tmp_path: Path) -> SizeFile:
    return SizeFile(tmp_path / "workers")


@pytest.fixture
def scaled(make_settings: MakeSettings, tmp_path: Path) -> Settings:
    return make_settings(
        autoscaler_least=3,
        autoscaler_most=5,
        autoscaler_oldest_seconds=20,
        autoscaler_jobs_per_worker=10,
        autoscaler_calm_seconds=0.5,
        autoscaler_size_file=tmp_path / "workers",
        metrics_port=1,
    )


@contextmanager
def running(database: Database, settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Controller(database, settings).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def spend(database: Database, account: str, points: int) -> None:
    with database.transaction() as tx:
        tx.conn.execute(
            "INSERT INTO write_points (account, minute, points) VALUES (%s, %s, %s)",
            (account, utcnow(), points),
        )


def look(database: Database, accounts: int) -> Signals:
    with database.read(fresh=True) as conn:
        return signals.read(conn, Limits(hour=100, day=1000), accounts)


def decisions(direction: str, reason: str) -> float:
    labels = {"direction": direction, "reason": reason}
    return REGISTRY.get_sample_value("etcetera_autoscaler_decisions_total", labels) or 0


def test_a_storm_makes_the_number_grow_and_calm_makes_it_shrink(
    database: Database, scaled: Settings, file: SizeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "INTERVAL_SECONDS", 0.1)
    grown, shrunk = decisions("up", "depth"), decisions("down", "calm")
    with running(database, scaled):
        eventually(lambda: file.read() == 3)
        for number in range(45):
            add(database, f"claim-{number}")
        eventually(lambda: file.read() == 5)
        assert decisions("up", "depth") > grown
        wanted = {"kind": "wanted"}
        assert REGISTRY.get_sample_value("etcetera_autoscaler_workers", wanted) == 5
        while Queue(database).lease(Lane.EFFECTS, 50, "w", 30):
            pass
        eventually(lambda: file.read() == 3)
    assert decisions("down", "calm") == shrunk + 2
    assert "autoscaler" not in PULSE.silent()


def test_the_signals_are_what_is_due_by_lane_and_what_may_be_written(database: Database) -> None:
    add(database, "one", waited=30)
    add(database, "two")
    add(database, "later", delay=100)
    add(database, "answer", kind="reply", waited=5)
    spend(database, "did:plc:a", 30)
    seen = look(database, accounts=2)
    assert seen.effects.due == 2
    assert 30 <= seen.effects.oldest < 90
    assert seen.replies.due == 1
    assert 5 <= seen.replies.oldest < 65
    assert seen.sendable == (70 + 100) // PUT


def test_delayed_jobs_are_no_reason_for_anything(database: Database) -> None:
    for number in range(100):
        add(database, f"later-{number}", delay=100)
    assert look(database, accounts=1).effects == Backlog(0, 0)


def test_a_storm_of_replies_over_budget_adds_no_worker(
    database: Database, scaled: Settings, file: SizeFile
) -> None:
    spend(database, "did:plc:a", scaled.bluesky_write_points_day)
    for number in range(100):
        add(database, f"answer-{number}", kind="reply")
    watched = Controller(database, scaled)
    before = decisions("keep", "budget")
    watched.step()
    assert file.read() == 3
    assert decisions("keep", "budget") == before + 1
    for number in range(35):
        add(database, f"claim-{number}")
    watched.step()
    assert file.read() == 4


def test_without_the_database_the_number_stays(
    database: Database, scaled: Settings, file: SizeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write(5)
    watched = Controller(database, scaled)

    def lost(**_: object) -> None:
        raise psycopg.OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(database, "read", lost)
        before = decisions("keep", "database_lost")
        for _ in range(3):
            watched.step()
        assert decisions("keep", "database_lost") == before + 3
    assert file.read() == 5


def test_a_new_controller_goes_on_with_the_number_it_finds_within_its_bounds(
    database: Database, scaled: Settings, file: SizeFile
) -> None:
    file.write(4)
    Controller(database, scaled).step()
    assert file.read() == 4
    file.write(9)
    Controller(database, scaled).step()
    assert file.read() == 5


def test_a_number_that_somebody_removed_is_written_again(
    database: Database, scaled: Settings, file: SizeFile, tmp_path: Path
) -> None:
    watched = Controller(database, scaled)
    watched.step()
    (tmp_path / "workers").unlink()
    watched.step()
    assert file.read() == 3
    assert [path.name for path in tmp_path.iterdir()] == ["workers"]
