"""The geometry of small charts, drawn as SVG by the templates. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.web.views import Point


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    point: Point


@dataclass(frozen=True)
class BarChart:
    """Bars in a box of 100 x 32 units, which the template stretches to its place."""

    bars: tuple[Bar, ...]
    top: float
    """The value at the upper edge."""
    last: float | None
    width: int = 100
    height: int = 32

    @property
    def empty(self) -> bool:
        return all(not bar.point.value for bar in self.bars)


def bar_chart(points: Sequence[Point], at_least: float = 1) -> BarChart:
    """One bar for each point. `at_least` keeps a chart of tiny values from looking dramatic."""
    top = max([at_least, *(point.value or 0 for point in points)])
    slot = 100 / max(1, len(points))
    bars = []
    for index, point in enumerate(points):
        height = 32 * (point.value or 0) / top
        if point.value:
            height = max(height, 1)
        bars.append(
            Bar(
                round(index * slot + slot * 0.1, 3),
                round(32 - height, 3),
                round(slot * 0.8, 3),
                round(height, 3),
                point,
            )
        )
    return BarChart(tuple(bars), top, points[-1].value if points else None)


@dataclass(frozen=True)
class Stroke:
    """A line of a chart as an SVG path, with what a table says of it; None without any value."""

    label: str
    path: str
    last: float | None
    highest: float | None


@dataclass(frozen=True)
class LineChart:
    """Lines in a box as that of `BarChart`."""

    strokes: tuple[Stroke, ...]
    top: float
    width: int = 100
    height: int = 32


def line_chart(
    lines: Sequence[tuple[str, Sequence[float | None]]], at_least: float = 1
) -> LineChart:
    """A stroke for each line; where nothing was measured it has a gap."""
    top = max([at_least, *(value or 0 for _, values in lines for value in values)])
    return LineChart(tuple(_stroke(label, values, top) for label, values in lines), top)


def _stroke(label: str, values: Sequence[float | None], top: float) -> Stroke:
    step = 100 / max(1, len(values))
    path, drawing = [], False
    for index, value in enumerate(values):
        if value is not None:
            y = 31.5 - 31 * value / top
            # Each value is as wide as its step, so that one alone shows too.
            path.append(f"{'L' if drawing else 'M'}{index * step:.2f} {y:.2f}h{step:.2f}")
        drawing = value is not None
    known = [value for value in values if value is not None]
    return Stroke(
        label, "".join(path), values[-1] if values else None, max(known) if known else None
    )


@dataclass(frozen=True)
class Slice:
    name: str
    count: int
    x: float
    width: float


def stacked(counts: Sequence[tuple[str, int]]) -> tuple[Slice, ...]:
    """Parts of a bar 100 units long, in the given order, without the empty ones."""
    total = sum(count for _, count in counts)
    slices, x = [], 0.0
    for name, count in counts:
        if count:
            width = 100 * count / total
            slices.append(Slice(name, count, round(x, 3), round(width, 3)))
            x += width
    return tuple(slices)
