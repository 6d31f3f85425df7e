"""Decides how the largest crowd is looked for and how rounds are condensed: pure functions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import Spread, quantile, ratio
from tests.bench.search import Search


def follow(search: Search, capacity: int) -> int:
    while number := search.next():
        search.tell(number, passed=number <= capacity)
    return search.passed


@given(
    capacity=st.integers(1, 5_000),
    start=st.integers(1, 2_000),
    growth=st.floats(1.1, 4),
    precision=st.floats(0.05, 1),
)
def test_the_largest_number_is_found_to_the_precision_asked_for(
    capacity: int, start: int, growth: float, precision: float
) -> None:
    found = follow(Search(start, growth, precision), capacity)
    assert found <= capacity <= max(found + 1, found * (1 + precision) + 1)


def test_doubling_and_halving_take_few_tries() -> None:
    search = Search(32)
    follow(search, 700)
    assert len(search.tries) <= 9


def test_nothing_beyond_the_limit_is_tried() -> None:
    search = Search(32, limit=100)
    assert follow(search, 10_000) == 100
    assert max(number for number, _ in search.tries) == 100


def test_where_nobody_can_be_served_the_search_ends() -> None:
    assert follow(Search(32), 0) == 0


def test_ratios_pair_the_rounds() -> None:
    assert ratio([10, 40, 90], [10, 20, 30]) == Spread(2, 1, 3)


def test_a_quantile_is_a_value_that_was_seen_or_infinite() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert quantile([], 0.95) == float("inf")
