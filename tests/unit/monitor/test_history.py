"""Decides how the monitor reads windows of its history: what happened between scrapes, whatever
restarted, went missing or appeared meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.samples import Sample

from app.monitor.history import History, Window

TIMEOUTS = "etcetera_database_timeouts_total"
REPLIES = "etcetera_reply_seconds"
STEP = 5.0


def counter(value: float, name: str = TIMEOUTS, **labels: str) -> Sample:
    return Sample(name, labels, value)


def observed(counts: Mapping[float, float], priority: str = "high") -> list[Sample]:
    """The buckets of a histogram that saw so many observations below each bound."""
    bounds = {**counts, float("inf"): max(counts.values())}
    return [
        Sample(f"{REPLIES}_bucket", {"priority": priority, "le": str(bound)}, count)
        for bound, count in bounds.items()
    ]


def history(*rounds: Mapping[str, list[Sample] | None], seconds: float = 3600) -> History:
    made = History(seconds, STEP)
    for number, scraped in enumerate(rounds):
        made.add(number * STEP, scraped)
    return made


def whole(made: History) -> Window:
    return made.window(1e9, until=1e8)


def test_only_what_was_counted_while_watching_counts() -> None:
    made = history({"web": [counter(100)]}, {"web": [counter(103)]}, {"web": [counter(104)]})
    assert whole(made).total(TIMEOUTS) == 4
    assert made.window(STEP, until=2 * STEP).total(TIMEOUTS) == 1


def test_a_process_that_restarted_counts_from_zero() -> None:
    made = history({"web": [counter(100)]}, {"web": [counter(7)]}, {"web": [counter(9)]})
    assert whole(made).total(TIMEOUTS) == 9


def test_what_a_target_counted_while_it_did_not_answer_is_not_lost() -> None:
    made = history({"web": [counter(1)]}, {"web": None}, {"web": None}, {"web": [counter(6)]})
    assert whole(made).total(TIMEOUTS) == 5
    assert [r.levels["up", "web"] for r in whole(made).rounds] == [1, 0, 0, 1]


def test_a_series_that_appears_later_counts_from_its_first_value() -> None:
    first, second = (
        counter(5, "etcetera_reads_total", role="primary"),
        counter(2, "etcetera_reads_total", role="replica"),
    )
    made = history({"web": [first]}, {"web": [first, second]})
    assert whole(made).by("etcetera_reads_total", "role") == {"replica": 2}


def test_a_target_that_is_none_any_more_is_forgotten_with_its_last_round() -> None:
    made = history({"worker-10.0.0.1": [counter(100)]}, {}, seconds=4 * STEP)
    assert set(made._last) == {"worker-10.0.0.1"}
    for number in range(2, 6):
        made.add(number * STEP, {"web": [counter(1)]})
    assert set(made._last) == {"web"}


@pytest.mark.parametrize(("started", "counted"), [(3.0, 8.0), (-100.0, 0.0)])
def test_a_target_first_seen_later_counts_only_if_it_started_since(
    started: float, counted: float
) -> None:
    start = Sample("process_start_time_seconds", {}, started)
    made = history({"worker-1": None}, {"worker-1": [counter(8), start]})
    assert whole(made).total(TIMEOUTS) == counted


def test_counters_of_all_processes_add_up_and_of_gauges_the_highest_is_taken() -> None:
    gauge = "etcetera_jobs_dead"
    made = history(
        {"a": [counter(1), counter(3, gauge)], "b": [counter(1), counter(4, gauge)]},
        {"a": [counter(2), counter(3, gauge)], "b": [counter(3), counter(2, gauge)]},
    )
    assert whole(made).total(TIMEOUTS) == 3
    assert whole(made).level(gauge) == 3


def test_a_percentile_is_of_the_window_alone_and_within_the_right_bucket() -> None:
    slow, fast = {0.5: 0, 1: 100}, {0.5: 100, 1: 200}
    made = history({"w": observed({0.5: 0, 1: 0})}, {"w": observed(slow)}, {"w": observed(fast)})
    assert made.window(STEP, until=STEP).quantile(0.5, REPLIES) == pytest.approx(0.75)
    assert made.window(STEP, until=2 * STEP).quantile(0.5, REPLIES) == pytest.approx(0.25)
    assert whole(made).count(REPLIES) == 200
    assert whole(made).count(REPLIES, priority="low") == 0
    assert whole(made).quantile(0.5, REPLIES, priority="low") is None


def test_a_window_says_how_much_of_it_was_watched() -> None:
    made = history({}, {}, {})
    assert made.window(600, until=2 * STEP).seconds == 2 * STEP
    assert made.window(STEP, until=2 * STEP).seconds == STEP
    assert History(3600, STEP).window(600, until=0).seconds == 0


def test_what_is_older_than_the_history_is_forgotten() -> None:
    made = history(*({"web": [counter(n)]} for n in range(1000)), seconds=60)
    assert len(whole(made).rounds) == 13


@given(st.lists(st.none() | st.integers(0, 20), min_size=1, max_size=40), st.data())
def test_whatever_restarts_and_goes_missing_no_increase_is_invented(
    steps: list[int | None], data: st.DataObject
) -> None:
    """Each step: not answering, or so much more since the last; it restarts now and then."""
    made, value, real = History(3600, STEP), 0, 0
    made.add(0, {"web": [counter(0)]})
    for number, step in enumerate(steps, start=1):
        if step is not None:
            if data.draw(st.booleans()):
                value = 0
            value, real = value + step, real + step
        made.add(number * STEP, {"web": None if step is None else [counter(value)]})
    assert 0 <= whole(made).total(TIMEOUTS) <= real
