"""Decides the verdict on a person's mentions, given their times. The SQL that finds those times is
decided in tests/integration/jobs/test_limits.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.limits import WINDOW, Verdict, judge

START = datetime(2026, 3, 1, tzinfo=UTC)


def verdicts(seconds: Sequence[float]) -> list[Verdict]:
    """The verdicts on mentions at these times, each as it was when it was the newest."""
    times = [START + timedelta(seconds=second) for second in sorted(seconds)]
    rows = [(at, times[index - 10] if index >= 10 else None) for index, at in enumerate(times)]
    return [judge(rows[: index + 1]) for index in range(len(rows))]


def test_ten_mentions_in_a_minute_are_allowed() -> None:
    assert verdicts(list(range(10))) == [Verdict.ALLOWED] * 10


def test_the_eleventh_is_asked_to_slow_down_and_the_twelfth_hears_nothing() -> None:
    assert verdicts(list(range(12)))[10:] == [Verdict.SLOW_DOWN, Verdict.SILENT]


def test_after_a_quiet_minute_all_is_forgotten() -> None:
    assert verdicts([*range(15), 80])[-1] is Verdict.ALLOWED


def test_a_command_every_six_seconds_is_always_allowed() -> None:
    assert set(verdicts([n * 6.0 for n in range(100)])) == {Verdict.ALLOWED}


def test_mentions_of_the_same_moment_count_one_by_one() -> None:
    assert verdicts([0.0] * 12)[9:] == [Verdict.ALLOWED, Verdict.SLOW_DOWN, Verdict.SILENT]


@given(st.lists(st.floats(0, 600), max_size=120))
def test_nobody_is_told_to_slow_down_twice_within_a_minute(seconds: list[float]) -> None:
    told = [
        START + timedelta(seconds=second)
        for second, verdict in zip(sorted(seconds), verdicts(seconds), strict=True)
        if verdict is Verdict.SLOW_DOWN
    ]
    assert all(later - earlier >= WINDOW for earlier, later in pairwise(told))


@given(st.lists(st.floats(0, 600), max_size=120))
def test_no_minute_has_more_than_ten_allowed_mentions_in_a_row(seconds: list[float]) -> None:
    times = sorted(seconds)
    for index, verdict in enumerate(verdicts(seconds)):
        if verdict is Verdict.ALLOWED and index >= 10:
            assert times[index] - times[index - 10] >= 60 - 1e-6
