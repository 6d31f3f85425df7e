"""Decides when jobs are tried again and how waiting makes them urgent, as pure functions.

That the SQL orders jobs by the same rule is decided in tests/integration/jobs/test_queue.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.policy import MAX_ATTEMPTS, backoff, urgency
from app.jobs.wakeup import POLL_SECONDS, pause
from app.models import Priority

chances = st.floats(0, 1, exclude_max=True)
waits = st.floats(0, 1e6)


@given(st.integers(1, 1000), chances)
def test_a_retry_waits_at_least_half_a_second_and_at_most_ten_minutes(
    attempts: int, chance: float
) -> None:
    assert 0.5 <= backoff(attempts, chance).total_seconds() <= 600


@given(st.integers(1, 100), chances)
def test_each_retry_waits_at_least_as_long_as_the_one_before(attempts: int, chance: float) -> None:
    assert backoff(attempts + 1, chance) >= backoff(attempts, chance)


def test_all_attempts_span_longer_than_an_outage_of_five_minutes() -> None:
    shortest = sum(backoff(attempt, 0.999).total_seconds() for attempt in range(1, MAX_ATTEMPTS))
    assert shortest > 300


@pytest.mark.parametrize(
    ("priority", "waited", "counts_as"),
    [
        (Priority.HIGH, 1000, Priority.HIGH),
        (Priority.NORMAL, 9.9, Priority.NORMAL),
        (Priority.NORMAL, 10, Priority.HIGH),
        (Priority.LOW, 19.9, Priority.LOW),
        (Priority.LOW, 20, Priority.NORMAL),
        (Priority.LOW, 40, Priority.HIGH),
    ],
)
def test_waiting_makes_a_job_more_urgent_step_by_step(
    priority: Priority, waited: float, counts_as: Priority
) -> None:
    assert urgency(priority, waited) is counts_as


@given(st.sampled_from(Priority), waits, waits)
def test_waiting_longer_never_makes_a_job_less_urgent(
    priority: Priority, one: float, two: float
) -> None:
    assert urgency(priority, max(one, two)) <= urgency(priority, min(one, two)) <= priority


@given(st.sampled_from(Priority))
def test_every_job_counts_as_most_urgent_in_the_end(priority: Priority) -> None:
    assert urgency(priority, 60) is Priority.HIGH


@given(st.none() | st.floats(-1e6, 1e6))
def test_a_worker_never_sleeps_longer_than_the_poll_and_never_spins(due: float | None) -> None:
    assert 0 < pause(due) <= POLL_SECONDS


def test_a_worker_sleeps_exactly_until_the_next_job_is_due() -> None:
    assert pause(0.37) == 0.37
