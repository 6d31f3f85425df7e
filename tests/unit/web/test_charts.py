"""Decides the geometry of the status page's charts: whatever the values, bars stay in their box."""

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.web.charts import bar_chart, line_chart, stacked
from app.web.views import Point

NOW = datetime(2026, 11, 3, tzinfo=UTC)
VALUES = st.lists(st.none() | st.floats(0, 1e9), max_size=80)


@given(VALUES)
def test_bars_stay_in_their_box_and_do_not_overlap(values: list[float | None]) -> None:
    chart = bar_chart([Point(at=NOW, value=value) for value in values])
    right = 0.0
    for bar in chart.bars:
        assert bar.x >= right - 0.01
        right = bar.x + bar.width
        assert 0 <= bar.y <= bar.y + bar.height <= 32.002
    assert right <= 100.01


@given(VALUES)
def test_something_is_always_told_from_nothing(values: list[float | None]) -> None:
    chart = bar_chart([Point(at=NOW, value=value) for value in values])
    for bar, value in zip(chart.bars, values, strict=True):
        assert bar.height >= 1 if value else bar.height == 0
    assert chart.empty == (not any(values))


def test_the_highest_bar_reaches_the_top_unless_all_are_tiny() -> None:
    assert bar_chart([Point(at=NOW, value=8), Point(at=NOW, value=4)], at_least=2).bars[0].y == 0
    assert bar_chart([Point(at=NOW, value=1)], at_least=4).bars[0].height == 8


@given(st.lists(st.tuples(st.sampled_from(["common", "rare", "epic"]), st.integers(0, 10**6))))
def test_slices_fill_the_bar_in_order(counts: list[tuple[str, int]]) -> None:
    slices = stacked(counts)
    assert [(part.name, part.count) for part in slices] == [c for c in counts if c[1]]
    if slices:
        assert slices[0].x == 0
        assert abs(slices[-1].x + slices[-1].width - 100) < 0.01


LINES = st.lists(st.tuples(st.text(max_size=5), VALUES), max_size=5)


@given(LINES)
def test_lines_stay_in_their_box_and_skip_what_was_not_measured(
    lines: list[tuple[str, list[float | None]]],
) -> None:
    chart = line_chart(lines)
    for stroke, (label, values) in zip(chart.strokes, lines, strict=True):
        known = [value for value in values if value is not None]
        points = re.findall(r"([ML])([\d.]+) ([-\d.]+)h([\d.]+)", stroke.path)
        assert (stroke.label, len(points)) == (label, len(known))
        assert (stroke.highest, stroke.last) == (
            max(known, default=None),
            values[-1] if values else None,
        )
        for _, x, y, width in points:
            assert 0 <= float(x) + float(width) <= 100.02
            assert 0 <= float(y) <= 32


def test_a_gap_begins_a_new_line() -> None:
    (stroke,) = line_chart([("a", [1, 2, None, 3])]).strokes
    assert [letter for letter in stroke.path if letter in "ML"] == ["M", "L", "M"]
