"""How many people at a time each phase serves, and what becomes of ten times phase 0's crowd."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench import load, mentions
from tests.bench.figures import Spread, ratio
from tests.bench.search import Search
from tests.bench.seed import World
from tests.bench.stacks import Stack

THINK = 1.0  # seconds between a page and the next, on average
CLAIM_EVERY = 1.0  # seconds; nine times what phase 1's 10,000 operations a day would be
MOST = 2_000  # people the search goes up to: nginx has connections for as many
PROMISE = 1.0  # seconds at the 95th percentile


@dataclass(frozen=True)
class Effort:
    rounds: int
    window: float
    warmup: float
    start: int
    precision: float


@dataclass(frozen=True)
class Window:
    """A crowd of one size at one stack. Times are milliseconds."""

    phase: str
    people: int
    rate: float
    p50: float
    p95: float
    failures: dict[str, int]
    hit_rate: float | None
    """Part of the lookups that the cache answered, from 0 to 1; None without a cache."""
    waits: int
    """Times that a page waited more than 10 ms for a database connection."""
    timeouts: int
    """Times that none came free at all."""
    generator: float
    """Part of one core that the load generator took."""
    cores: dict[str, float]
    """What each process of the stack took, warming up and the last answers included."""
    cost: dict[str, float]
    """The same as processor milliseconds per page."""

    @property
    def kept(self) -> bool:
        """Whether the promise was: nothing fails, p95 below a second."""
        return not self.failures and self.p95 < PROMISE * 1000


@dataclass(frozen=True)
class Row:
    """The largest crowd of a phase, over the rounds, and the window that showed it."""

    phase: str
    people: Spread
    window: Window


@dataclass(frozen=True)
class Report:
    rows: list[Row]
    phase1_to_phase0: Spread
    tenfold: Window
    """Phase 1 with ten times the crowd of phase 0."""
    windows: list[Window]
    """All that was tried, in order."""


def run(
    stacks: Sequence[Stack], world: World, effort: Effort, seed: int, say: Callable[[str], None]
) -> Report:
    """Doubling, then halving the gap; later rounds begin at the result. The phases take turns."""
    windows: list[Window] = []
    found: dict[str, list[int]] = {stack.name: [] for stack in stacks}

    def measure(stack: Stack, people: int) -> Window:
        say(f"phases: {stack.name} with {people} people")
        window = _window(stack, world, people, effort, seed + len(windows))
        windows.append(window)
        return window

    for number in range(effort.rounds):
        searches = [
            (stack, _search(effort, found[stack.name]))
            for stack in (stacks if number % 2 == 0 else stacks[::-1])
        ]
        while any(search.next() for _, search in searches):
            for stack, search in searches:
                if people := search.next():
                    search.tell(people, passed=measure(stack, people).kept)
        for stack, search in searches:
            found[stack.name].append(search.passed)
    first, last = found[stacks[0].name], found[stacks[-1].name]
    rows = [
        Row(stack.name, Spread.of(found[stack.name]), _best(windows, stack.name))
        for stack in stacks
    ]
    tenfold = measure(stacks[-1], round(10 * Spread.of(first).median))
    return Report(rows, ratio(last, first), tenfold, windows)


def _search(effort: Effort, before: Sequence[int]) -> Search:
    if not before:
        return Search(effort.start, precision=effort.precision, limit=MOST)
    growth = 1 + 1.5 * effort.precision
    return Search(max(1, before[-1]), growth, 1.5 * effort.precision, limit=MOST)


def _best(windows: Sequence[Window], phase: str) -> Window:
    mine = [window for window in windows if window.phase == phase]
    return max(mine, key=lambda window: (window.kept, window.people if window.kept else 0))


def _window(stack: Stack, world: World, people: int, effort: Effort, seed: int) -> Window:
    before, used, begin = stack.metrics(), stack.processor_seconds(), time.monotonic()
    with mentions.trickle(stack.database_url, f"t{seed}", CLAIM_EVERY):
        result = asyncio.run(
            load.crowd(
                stack.edge, world.view, people, effort.window, effort.warmup, seed, think=THINK
            )
        )
    seconds = time.monotonic() - begin
    spent = {name: total - used.get(name, 0) for name, total in stack.processor_seconds().items()}
    counted = stack.metrics()

    def grown(name: str, **labels: str) -> float:
        wanted = set(labels.items())
        return sum(
            value - before.get(key, 0)
            for key, value in counted.items()
            if key[0] == name and wanted <= key[1]
        )

    lookups = grown("etcetera_cache_requests_total")
    hits = sum(grown("etcetera_cache_requests_total", result=kind) for kind in ("hit", "stale"))
    waited = grown("etcetera_database_wait_seconds_count")
    pages = max(1.0, grown("etcetera_web_request_seconds_count"))
    return Window(
        phase=stack.name,
        people=people,
        rate=result.rate,
        p50=result.p50 * 1000,
        p95=result.p95 * 1000,
        failures=dict(result.failures),
        hit_rate=hits / lookups if lookups else None,
        waits=int(waited - grown("etcetera_database_wait_seconds_bucket", le="0.01")),
        timeouts=int(grown("etcetera_database_timeouts_total")),
        generator=result.busy,
        cores={name: round(total / seconds, 3) for name, total in spent.items()},
        cost={name: round(1000 * total / pages, 3) for name, total in spent.items()},
    )
