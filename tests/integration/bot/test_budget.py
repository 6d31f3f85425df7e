"""Decides that all workers together keep to an account's write points, counted in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.bot.budget import DAY, HOUR, PUT, Budget, Spent
from app.clock import utcnow
from app.db import Database, Transaction
from app.errors import Retry
from app.models import Priority
from app.repository import budget as points_spent
from app.settings import Settings

pytestmark = pytest.mark.integration
ACCOUNT = "etcetera.test"


@pytest.fixture
def budget(make_settings: Callable[..., Settings], database: Database) -> Budget:
    settings = make_settings(bluesky_write_points_hour="100", bluesky_write_points_day="150")
    return Budget(database, settings, ACCOUNT)


def spend(database: Database, points: int, *, ago: timedelta = timedelta(0)) -> None:
    with database.transaction() as tx:
        minute = (utcnow() - ago).replace(second=0, microsecond=0)
        points_spent.spend(tx.conn, ACCOUNT, minute, points)


def spent(database: Database) -> tuple[int, int]:
    with database.read() as conn:
        return points_spent.spent(conn, ACCOUNT, utcnow())


def headers(remaining: int, reset: timedelta, window: timedelta = HOUR) -> dict[str, str]:
    return {
        "ratelimit-limit": "100",
        "ratelimit-remaining": str(remaining),
        "ratelimit-reset": str(int((utcnow() + reset).timestamp())),
        "ratelimit-policy": f"100;w={int(window.total_seconds())}",
    }


def test_many_workers_at_once_never_spend_more_than_the_hour_allows(
    budget: Budget, database: Database
) -> None:
    def take(_: int) -> bool:
        try:
            budget.reserve(PUT, Priority.HIGH)
        except Retry:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(80)))
    assert sum(taken) == 45
    assert spent(database) == (90, 90)


def test_part_of_the_budget_is_kept_for_what_is_urgent(budget: Budget, database: Database) -> None:
    spend(database, 66)
    with pytest.raises(Retry):
        budget.reserve(PUT, Priority.LOW)
    budget.reserve(PUT, Priority.NORMAL)
    spend(database, 12)
    with pytest.raises(Retry):
        budget.reserve(PUT, Priority.NORMAL)
    budget.reserve(PUT, Priority.HIGH)


def test_the_last_tenth_is_for_digests(budget: Budget, database: Database) -> None:
    spend(database, 90)
    with pytest.raises(Spent):
        budget.reserve(PUT, Priority.HIGH)
    budget.reserve(PUT, None)
    spend(database, 8)
    with pytest.raises(Spent):
        budget.reserve(PUT, None)


def test_what_goes_with_a_reservation_is_done_with_it_or_not_at_all(
    budget: Budget, database: Database
) -> None:
    def fail(_: Transaction) -> None:
        raise Retry(timedelta(seconds=1), "not now")

    with pytest.raises(Retry, match="not now"):
        budget.reserve_and(PUT, Priority.HIGH, fail)
    assert spent(database) == (0, 0)


def test_a_spent_hour_waits_for_its_oldest_points_to_return(
    budget: Budget, database: Database
) -> None:
    spend(database, 60, ago=timedelta(minutes=40))
    spend(database, 40)
    with pytest.raises(Retry) as refusal:
        budget.reserve(PUT, Priority.HIGH)
    assert timedelta(minutes=18) < refusal.value.after <= timedelta(minutes=20)


def test_a_spent_day_waits_although_the_hour_has_points(budget: Budget, database: Database) -> None:
    spend(database, 150, ago=timedelta(hours=20))
    with pytest.raises(Retry) as refusal:
        budget.reserve(PUT, Priority.HIGH)
    assert timedelta(hours=3) < refusal.value.after <= timedelta(hours=4)


def test_accounts_have_budgets_of_their_own(
    budget: Budget, database: Database, settings: Settings
) -> None:
    spend(database, 100)
    Budget(database, settings, "other.test").reserve(PUT, Priority.LOW)
    with pytest.raises(Retry):
        budget.reserve(PUT, Priority.HIGH)


def test_what_the_server_knows_was_spent_counts_until_its_window_ends(
    budget: Budget, database: Database
) -> None:
    budget.learn(headers(remaining=1, reset=timedelta(minutes=10)))
    assert spent(database)[0] == 99
    with pytest.raises(Retry) as refusal:
        budget.reserve(PUT, Priority.HIGH)
    assert timedelta(minutes=8) < refusal.value.after <= timedelta(minutes=11)


@pytest.mark.parametrize("window", [HOUR, DAY])
def test_a_server_that_knows_less_than_we_do_changes_nothing(
    budget: Budget, database: Database, window: timedelta
) -> None:
    spend(database, 60)
    budget.learn(headers(remaining=99, reset=timedelta(minutes=10), window=window))
    assert spent(database) == (60, 60)
