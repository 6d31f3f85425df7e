"""Finding the highest number that still passes, with few tries. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt


@dataclass
class Search:
    """Grows by a factor until a try fails (or shrinks until one passes), then halves the gap.

    Done when the gap is within `precision` (0.1: ten percent), or at `limit`.
    """

    start: int
    growth: float = 2.0
    precision: float = 0.1
    limit: int = 10_000
    passed: int = 0
    failed: int | None = None
    tries: list[tuple[int, bool]] = field(default_factory=list)

    def next(self) -> int | None:
        """What to try; None when done."""
        if not self.tries:
            return min(self.start, self.limit)
        if self.failed is None:
            grown = max(self.passed + 1, round(self.passed * self.growth))
            return None if self.passed >= self.limit else min(grown, self.limit)
        if self.passed == 0:
            shrunk = min(self.failed - 1, round(self.failed / self.growth))
            return shrunk if shrunk > 0 else None
        middle = round(sqrt(self.passed * self.failed))
        if self.failed <= self.passed * (1 + self.precision) or middle in (
            self.passed,
            self.failed,
        ):
            return None
        return middle

    def tell(self, number: int, *, passed: bool) -> None:
        """The outcome of a try."""
        self.tries.append((number, passed))
        if passed:
            self.passed = max(self.passed, number)
        else:
            self.failed = number if self.failed is None else min(self.failed, number)
