"""Decides how times and numbers are written."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.web import formats

NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (93_600, "1 d 2 h"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert formats.span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0123, "12 ms"), (0.9996, "1.0 s"), (2.26, "2.3 s"), (75, "1 min")],  # noqa: RUF001
)
def test_a_measured_time_is_written_with_a_fitting_unit(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


def test_times_are_written_in_full_or_as_ages() -> None:
    assert formats.when(NOON) == "3 Nov 2026, 12:00"
    assert formats.day(NOON) == "3 November 2026"
    assert formats.ago(NOON, NOON + timedelta(seconds=59)) == "just now"
    assert formats.ago(NOON, NOON + timedelta(minutes=90)) == "1 h 30 min ago"
    assert formats.ago(NOON, NOON - timedelta(minutes=1)) == "just now"


def test_numbers_are_grouped_and_parts_are_percentages() -> None:
    assert formats.number(1234567) == "1\u202f234\u202f567"
    assert formats.percent(0.625) == "62 %"
    assert formats.percent(None) == "–"  # noqa: RUF001


def test_a_catalogue_number_is_what_the_bot_understands_too() -> None:
    assert formats.catalogue_number(UUID(int=0xABCDEF01)) == "abcdef01"


@pytest.mark.parametrize(
    ("name", "letter"), [("wren", "W"), ("🐙 otto", "O"), ("!!", "&"), ("", "&")]
)
def test_a_monogram_is_the_first_letter_of_a_name(name: str, letter: str) -> None:
    assert formats.initial(name) == letter
