"""Page views at the times that were planned, over connections that browsers would keep open."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tests.bench.load import Visitor, addresses
from tests.load.plan import Event
from tests.load.sights import Sights

MOST_VISITORS = 3_000
_LEAST_VISITORS = 20
_EACH = 4.0  # seconds between two pages of one person, so that limits per address hold
_BROWSER = "Accept-Encoding: gzip\r\n"
_CACHE = re.compile(rb"\r\nx-cache(?:-status)?: *([a-z]+)")


@dataclass
class Views:
    """Seconds from the time a page was due, by page; `cache` counts what the CDN says of it."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    cached_seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    late: float = 0.0
    """Seconds by which the generator itself was late at worst."""


async def view(
    events: Sequence[Event], began: float, port: int, sights: Sights, seed: int, views: Views
) -> None:
    """Asks for every page at its time, however many are not answered yet. `began` as time()."""
    if not events:
        return
    chance, sources = Random(f"{seed}/views"), addresses()
    rate = len(events) / (events[-1].at + 1)
    idle = deque(
        Visitor(port, next(sources)) for _ in range(max(_LEAST_VISITORS, int(rate * _EACH)))
    )
    visitors = len(idle)

    async def one(event: Event, visitor: Visitor, path: str) -> None:
        status = await visitor.get(path, _BROWSER)
        seconds = time.time() - began - event.at
        if status == 200:
            views.seconds.setdefault(event.what, []).append(seconds)
        else:
            views.errors[f"page: {status}"] += 1
        if found := _CACHE.search(visitor.head):
            views.cache[found[1].decode()] += 1
            if found[1] in (b"hit", b"stale", b"updating"):
                views.cached_seconds.append(seconds)
        idle.append(visitor)

    async with asyncio.TaskGroup() as group:
        for event in events:
            await asyncio.sleep(max(0.0, began + event.at - time.time()))
            views.late = max(views.late, time.time() - began - event.at)
            if not idle and visitors < MOST_VISITORS:
                visitors += 1
                idle.append(Visitor(port, next(sources)))
            if not idle:
                views.errors[f"page: more than {MOST_VISITORS} unanswered"] += 1
                continue
            group.create_task(one(event, idle.popleft(), sights.path(event.what, chance)))
    for visitor in idle:
        visitor.close()
