"""What arrives when, drawn from a seed before anything begins. Times are seconds from the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from random import Random

COMMANDS: Mapping[str, float] = {"claim": 0.70, "gift": 0.10, "inventory": 0.10, "help": 0.10}
PAGES: Mapping[str, float] = {
    "home": 0.25,
    "object": 0.30,
    "person": 0.12,
    "leaderboard": 0.05,
    "search": 0.08,
    "api": 0.08,
    "picture": 0.08,
    "static": 0.04,
}
MIXES = ("steady", "surge", "storm")

SURGE = 10  # times the steady rates
STORM = 10  # minutes' worth of steady mentions, all of them claims, that arrive within one minute
STORM_SECONDS = 60.0
_STORM_MEAN = 15.0  # most people are there when the clock strikes
_EASE_SECONDS = 60.0  # of the steady rate before and after a surge


@dataclass(frozen=True)
class Event:
    """Something that somebody does: a command or a page."""

    at: float
    what: str


@dataclass(frozen=True)
class Stretch:
    """A time of constant rates, as a multiple of the steady ones."""

    seconds: float
    times: float


@dataclass(frozen=True)
class Plan:
    """`mentions` are commands; both lists are in order."""

    seconds: float
    mentions: Sequence[Event]
    pages: Sequence[Event]


def make(mix: str, per_minute: float, pages: float, seconds: float, seed: int) -> Plan:
    """`per_minute` mentions and `pages` a second for `seconds`.

    surge: ten times both for so long, with up to a minute of the steady rates before and after.
    storm: as at midnight UTC, a third of the time in: ten minutes' worth of claims within a minute,
    beside the steady rates.
    """
    ease = Stretch(min(_EASE_SECONDS, seconds), 1)
    stretches = [ease, Stretch(seconds, SURGE), ease] if mix == "surge" else [Stretch(seconds, 1)]
    commands = _drawn(stretches, per_minute / 60, COMMANDS, Random(f"{seed}/mentions"))
    if mix == "storm":
        commands = merge(
            commands,
            _storm(seconds / 3, round(per_minute * STORM), Random(f"{seed}/storm")),
            key=lambda event: event.at,
        )
    return Plan(
        seconds=sum(stretch.seconds for stretch in stretches),
        mentions=list(commands),
        pages=list(_drawn(stretches, pages, PAGES, Random(f"{seed}/pages"))),
    )


def _drawn(
    stretches: Sequence[Stretch], rate: float, mix: Mapping[str, float], chance: Random
) -> Iterator[Event]:
    """A Poisson process: people do not wait for each other."""
    begin = 0.0
    for stretch in stretches:
        at, end = begin, begin + stretch.seconds
        while rate and (at := at + chance.expovariate(rate * stretch.times)) < end:
            yield Event(at, chance.choices(list(mix), list(mix.values()))[0])
        begin = end


def _storm(begin: float, claims: int, chance: Random) -> list[Event]:
    offsets = (chance.expovariate(1 / _STORM_MEAN) % STORM_SECONDS for _ in range(claims))
    return [Event(begin + offset, "claim") for offset in sorted(offsets)]
