"""Figures of several rounds. Ratios pair the rounds, as the machine's mood changes between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        """`median (low-high)`; without the brackets where all rounds agree."""
        middle, low, high = (f"{value:,.{digits}f}" for value in (self.median, self.low, self.high))
        return middle if low == high else f"{middle} ({low}-{high})"


def ratio(of: Sequence[float], to: Sequence[float]) -> Spread:
    """How many times `of` is `to`, round by round."""
    return Spread.of([a / b for a, b in zip(of, to, strict=True) if b])


def quantile(values: Sequence[float], part: float) -> float:
    """The value that a part (0 to 1) of the values does not exceed; infinite when there is none."""
    if not values:
        return float("inf")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
