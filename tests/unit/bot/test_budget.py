"""Decides how long writes wait for points, and what the server's headers say. The counting itself
is in PostgreSQL and tested there."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot.budget import DAY, HOUR, ServerLimit, wait_for

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def ago(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


def test_nothing_waits_while_points_are_left() -> None:
    assert wait_for([(ago(5), 96)], HOUR, 100, 2, NOW) == timedelta(0)


def test_a_write_waits_until_enough_old_points_return() -> None:
    history = [(ago(50), 1), (ago(40), 50), (ago(5), 49)]
    assert wait_for(history, HOUR, 100, 2, NOW) == timedelta(minutes=20)


def test_what_never_fits_waits_a_whole_window() -> None:
    assert wait_for([], HOUR, 1, 2, NOW) == HOUR


@given(
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60)), max_size=30),
    st.integers(2, 100),
)
def test_after_the_wait_the_points_fit(spent: list[tuple[int, int]], allowed: int) -> None:
    history = sorted((ago(minutes), points) for minutes, points in spent)
    then = NOW + wait_for(history, HOUR, allowed, 2, NOW)
    assert sum(points for minute, points in history if minute > then - HOUR) + 2 <= allowed


def test_the_servers_headers_tell_what_is_left_and_until_when() -> None:
    limit = ServerLimit.read(
        {
            "ratelimit-limit": "5000",
            "ratelimit-remaining": "12",
            "ratelimit-reset": str(int(NOW.timestamp())),
            "ratelimit-policy": "5000;w=3600",
        }
    )
    assert limit == ServerLimit(5000, 12, NOW, HOUR)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit-limit": "x"},
        {
            "ratelimit-limit": "1",
            "ratelimit-remaining": "1",
            "ratelimit-reset": "9" * 30,
            "ratelimit-policy": "1;w=3600",
        },
        {
            "ratelimit-limit": "1",
            "ratelimit-remaining": "1",
            "ratelimit-reset": "1",
            "ratelimit-policy": "odd",
        },
    ],
)
def test_headers_that_cannot_be_read_teach_nothing(headers: dict[str, str]) -> None:
    assert ServerLimit.read(headers) is None


@pytest.mark.parametrize(("seconds", "of_account"), [(300, False), (3600, True), (86400, True)])
def test_windows_of_hours_and_days_are_the_accounts(seconds: int, of_account: bool) -> None:
    said = {
        "ratelimit-limit": "3000",
        "ratelimit-remaining": "1",
        "ratelimit-reset": "1",
        "ratelimit-policy": f"3000;w={seconds}",
    }
    limit = ServerLimit.read(said)
    assert limit is not None
    assert limit.of_account is of_account


def test_a_day_is_a_window_of_its_own() -> None:
    assert wait_for([(NOW - timedelta(hours=2), 10)], DAY, 10, 1, NOW) == timedelta(hours=22)
