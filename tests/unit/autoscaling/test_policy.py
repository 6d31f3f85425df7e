"""Decides how many workers are wanted: the pure function, and how it does against a model queue.

That the signals are read right and the number reaches somebody is decided in
tests/integration/jobs/test_autoscaler.py.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.autoscaling.policy import (
    LONGEST_PATIENCE,
    WARMUP_SECONDS,
    Backlog,
    Bounds,
    Signals,
    State,
    decide,
)
from app.autoscaling.signals import points_left
from app.bot.budget import Limits

BOUNDS = Bounds(least=3, most=5, oldest_seconds=2.0, jobs_per_worker=50, calm_seconds=60.0)
QUIET = Backlog(0, 0.0)
NOTHING = Signals(QUIET, QUIET, sendable=1000)

backlogs = st.builds(Backlog, due=st.integers(0, 2000), oldest=st.floats(0, 300))
signals = st.builds(Signals, effects=backlogs, replies=backlogs, sendable=st.integers(0, 3000))
bounds = st.integers(0, 6).flatmap(
    lambda least: st.builds(
        Bounds,
        least=st.just(least),
        most=st.integers(max(1, least), 12),
        oldest_seconds=st.floats(0.1, 30),
        jobs_per_worker=st.integers(1, 200),
        calm_seconds=st.floats(0, 600),
    )
)
moments = st.floats(0, 10_000)
states = st.builds(
    State,
    size=st.integers(0, 20),
    calm_since=moments,
    grown_at=moments,
    shrunk_at=moments,
    patience=st.integers(1, LONGEST_PATIENCE),
)


def effects(due: int, oldest: float = 0.5) -> Signals:
    return replace(NOTHING, effects=Backlog(due, oldest))


@pytest.mark.parametrize(
    ("seen", "size", "reason"),
    [
        (NOTHING, 3, "steady"),
        (effects(150), 3, "steady"),
        (effects(151), 4, "depth"),
        (effects(10_000), 5, "depth"),
        (effects(1, oldest=2.1), 4, "age"),
        (replace(NOTHING, replies=Backlog(220, 1.0)), 5, "depth"),
        (replace(NOTHING, replies=Backlog(1, 9.0)), 4, "age"),
    ],
)
def test_it_grows_at_once_by_as_many_as_are_needed(seen: Signals, size: int, reason: str) -> None:
    decision = decide(State(3, calm_since=0), seen, BOUNDS, now=1000)
    assert (decision.state.size, decision.reason) == (size, reason)


def test_a_late_job_adds_another_worker_only_once_the_last_one_could_have_helped() -> None:
    late = effects(1, oldest=30)
    first = decide(State(3, calm_since=0), late, BOUNDS, now=100).state
    assert decide(first, late, BOUNDS, now=100 + WARMUP_SECONDS - 1).state.size == 4
    assert decide(first, late, BOUNDS, now=100 + WARMUP_SECONDS).state.size == 5
    assert decide(first, effects(400, 30), BOUNDS, now=101).state.size == 5  # depth does not wait


def test_it_shrinks_one_at_a_time_after_a_calm() -> None:
    state = decide(State(3, calm_since=0), effects(1000), BOUNDS, now=0).state
    sizes = []
    for now in range(1, 200):
        state = decide(state, NOTHING, BOUNDS, now).state
        sizes.append(state.size)
    assert [now for now, (a, b) in enumerate(pairwise(sizes), start=2) if a != b] == [60, 120]
    assert sizes[-1] == 3


def test_a_load_that_one_fewer_could_not_carry_is_no_calm() -> None:
    state = State(4, calm_since=0)
    for now in range(1000):
        state = decide(state, effects(151), BOUNDS, now).state
    assert state.size == 4


def test_replies_that_cannot_be_sent_ask_for_no_worker_and_effects_still_do() -> None:
    spent = Signals(QUIET, Backlog(5000, 500.0), sendable=0)
    decision = decide(State(3, calm_since=0), spent, BOUNDS, now=10)
    assert (decision.direction, decision.reason) == ("keep", "budget")
    some = replace(spent, sendable=160, replies=Backlog(5000, 1.0))
    assert decide(State(3, calm_since=0), some, BOUNDS, now=10).state.size == 4
    help_wanted = replace(spent, effects=Backlog(240, 1.0))
    assert decide(State(3, calm_since=0), help_wanted, BOUNDS, now=10).state.size == 5


def test_workers_that_only_wait_for_the_budget_are_taken_away() -> None:
    spent = Signals(QUIET, Backlog(5000, 500.0), sendable=0)
    assert decide(State(5, calm_since=0), spent, BOUNDS, now=60).state.size == 4


@given(states, signals, bounds, moments)
def test_it_never_leaves_the_bounds(
    state: State, seen: Signals, limits: Bounds, now: float
) -> None:
    assert limits.least <= decide(state, seen, limits, now).state.size <= limits.most


@given(states, signals, bounds, moments, st.integers(0, 500), st.floats(0, 100))
def test_more_or_older_jobs_never_mean_fewer_workers(
    state: State, seen: Signals, limits: Bounds, now: float, more: int, older: float
) -> None:
    before = decide(state, seen, limits, now).state.size
    worse = Backlog(seen.effects.due + more, seen.effects.oldest + older)
    assert decide(state, replace(seen, effects=worse), limits, now).state.size >= before
    worse = Backlog(seen.replies.due + more, seen.replies.oldest + older)
    assert decide(state, replace(seen, replies=worse), limits, now).state.size >= before
    richer = replace(seen, sendable=seen.sendable + more)
    assert decide(state, richer, limits, now).state.size >= before


@given(states, signals, bounds)
def test_the_same_signals_for_ever_end_in_one_size(
    state: State, seen: Signals, limits: Bounds
) -> None:
    sizes = []
    now = 20_000.0
    for _ in range(60):
        now += limits.calm_seconds * LONGEST_PATIENCE + WARMUP_SECONDS
        state = decide(state, seen, limits, now).state
        sizes.append(state.size)
    inside = sizes[1:]  # the first may only bring it into its bounds
    assert inside in (sorted(inside), sorted(inside, reverse=True))
    assert len(set(sizes[-30:])) == 1


@settings(max_examples=30, deadline=None)
@example(arrivals=40.0, capacity=13.0)
@given(st.floats(0.1, 400), st.floats(5, 60))
def test_a_constant_load_does_not_make_it_swing(arrivals: float, capacity: float) -> None:
    """A queue into which so many jobs fall a second, and each worker does so many of them."""
    state, due = State(3, calm_since=0.0), 0.0
    changes: list[int] = []
    for now in range(4 * 3600):
        due = max(0.0, due + arrivals - state.size * capacity)
        seen = effects(int(due), oldest=due / arrivals if due >= 1 else 0.0)
        decision = decide(state, seen, BOUNDS, float(now))
        state = decision.state
        if decision.direction != "keep":
            changes.append(now)
    settled = [now for now in changes if now >= 3600]
    # Up and down once each in the longest calm, at worst; without patience it would be 360.
    assert len(settled) <= 2 * (3 * 3600 / (BOUNDS.calm_seconds * LONGEST_PATIENCE) + 1)


def test_patience_ends_when_a_removal_has_held() -> None:
    state = State(4, calm_since=0, grown_at=0, shrunk_at=100, patience=4)
    assert decide(state, effects(1, 9.0), BOUNDS, now=579).state.patience == 8
    assert decide(state, effects(1, 9.0), BOUNDS, now=580).state.patience == 1


def test_points_left_are_those_of_all_accounts_also_of_one_that_never_wrote() -> None:
    limits = Limits(hour=100, day=1000)
    spent = [{"hour": 40, "day": 40}, {"hour": 0, "day": 990}, {"hour": 120, "day": 120}]
    assert points_left(spent, limits, accounts=3) == 60 + 10 + 0
    assert points_left(spent, limits, accounts=4) == 170
    assert points_left([], limits, accounts=2) == 200
