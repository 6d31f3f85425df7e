"""Deterministic draws. Each has a label, so that a new draw does not change the others."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A source of choices: the same seed and label give the same choice, on any machine."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def below(self, label: str, limit: int) -> int:
        """A whole number from 0 to `limit` - 1. The bias for small limits is under 2^-60."""
        digest = sha256(f"{self._seed}/{label}".encode()).digest()
        return int.from_bytes(digest[:16], "big") % limit

    def between(self, label: str, low: float, high: float) -> float:
        """A number in [low, high), in a million steps."""
        return low + (high - low) * self.below(label, 1_000_000) / 1_000_000

    def pick(self, label: str, options: Sequence[T]) -> T:
        return options[self.below(label, len(options))]

    def weighted(self, label: str, weights: Mapping[T, int]) -> T:
        """An option, as likely as its weight among all."""
        point = self.below(label, sum(weights.values()))
        for option, weight in weights.items():
            if point < weight:
                return option
            point -= weight
        raise AssertionError("unreachable: the point is below the sum")
