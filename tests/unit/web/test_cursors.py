"""Decides that a cursor comes back as it was given out, and that anything else is refused."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.cursors import Cursor, CursorError


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_survives_the_way_to_the_reader_and_back(at: datetime, id_: UUID) -> None:
    assert Cursor.decode(Cursor(at, id_).encode()) == Cursor(at, id_)


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        Cursor.decode(text)


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "|",
        "2026-11-03T00:00:00+00:00",
        "2026-11-03T00:00:00|6f1f9a52-63a3-7d3c-8f5e-000000000001",  # no time zone
        "2026-11-03T00:00:00+00:00|one",
        "yesterday|6f1f9a52-63a3-7d3c-8f5e-000000000001",
        "\0|\0",
    ],
)
def test_base64_of_something_else_is_refused(inside: str) -> None:
    with pytest.raises(CursorError):
        Cursor.decode(base64.urlsafe_b64encode(inside.encode()).decode())
