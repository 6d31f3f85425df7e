"""Decides how the status page reads percentiles and rates from the metrics."""

import pytest

from app.metrics import quantile
from app.web.measure import Totals, between

INFINITE = float("inf")


def test_a_percentile_is_interpolated_within_its_bucket() -> None:
    assert quantile(0.95, {0.1: 0, 0.2: 100, INFINITE: 100}) == pytest.approx(0.195)
    assert quantile(0.5, {0.1: 60, 0.2: 100, INFINITE: 100}) == pytest.approx(0.5 / 6)


def test_beyond_the_last_bucket_its_bound_is_what_is_known() -> None:
    assert quantile(0.95, {0.1: 10, 0.2: 10, INFINITE: 100}) == 0.2


def test_without_requests_there_is_no_percentile() -> None:
    assert quantile(0.95, {}) is None
    assert quantile(0.95, {0.1: 0, INFINITE: 0}) is None


def test_only_what_happened_in_between_counts() -> None:
    first = Totals(100, {0.1: 1000, INFINITE: 1000}, failures=5, lookups=100, hits=0)
    last = Totals(160, {0.1: 1000, INFINITE: 1004}, failures=6, lookups=110, hits=9)
    recent = between(first, last)
    assert (recent.seconds, recent.requests, recent.failures) == (60, 4, 1)
    assert recent.hit_rate == pytest.approx(0.9)
    assert recent.p95 == 0.1


def test_without_lookups_there_is_no_hit_rate() -> None:
    assert between(Totals(0), Totals(60)).hit_rate is None
