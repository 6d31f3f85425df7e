"""Pages with cache, without it, and against a bare Flask page of the same size."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench import load
from tests.bench.figures import Spread, ratio
from tests.bench.seed import World
from tests.bench.stacks import Stack

CONNECTIONS = 16
OBJECTS = 200  # object pages in turn


@dataclass(frozen=True)
class Effort:
    rounds: int
    window: float


@dataclass(frozen=True)
class Row:
    """One page of one server. Times are milliseconds."""

    page: str
    server: str
    rate: Spread
    p50: Spread
    p95: Spread
    to_bare: Spread
    generator: float
    failures: int


@dataclass(frozen=True)
class Report:
    bytes: dict[str, int]
    """Sizes of the pages."""
    rows: list[Row]
    cached_to_uncached: dict[str, Spread]


def run(
    stack: Stack, world: World, folder: Path, effort: Effort, say: Callable[[str], None]
) -> Report:
    """Three servers with the sizes of the stack's phase, its PostgreSQL and its Redis.

    They take turns, so that what disturbs the machine disturbs them all.
    """
    from tests.bench.sites import site

    size = stack.phase.workload
    common = {
        "PHASE": str(stack.phase.number),
        "DATABASE_URL": stack.database_url,
        "PUBLIC_URL": "http://localhost",
        "SECRET_KEY": secrets.token_hex(32),
        "TRUSTED_PROXIES": "1",
        "WEB_WORKERS": str(size.web_processes),
        "WEB_THREADS": str(size.web_threads),
        "DATABASE_POOL": str(size.web_pool),
    }
    app = "app.gunicorn:application()"
    servers = {
        "bare Flask": ("tests.bench.bare:application()", stack.port_base + 60, {}, "/1"),
        "without cache": (app, stack.port_base + 61, {}, "/healthz"),
        "with cache": (app, stack.port_base + 62, {"REDIS_URL": stack.redis_url}, "/healthz"),
    }
    paths = {"home": ["/"], "object": [f"/objects/{one}" for one in world.objects[:OBJECTS]]}
    results: defaultdict[tuple[str, str], list[load.Result]] = defaultdict(list)
    with ExitStack() as serving:
        for name, (application, port, extra, ready) in servers.items():
            serving.enter_context(
                site(application, port, folder / name.replace(" ", "-"), common | extra, ready)
            )
        sizes = {
            page: len(httpx.get(f"http://127.0.0.1:{servers['with cache'][1]}{some[0]}").content)
            for page, some in paths.items()
        }
        for number in range(effort.rounds):
            for page, wanted in paths.items():
                for name, (_, port, _, _) in servers.items():
                    say(f"pages: round {number + 1} of {effort.rounds}, {page} page, {name}")
                    asked = wanted if name != "bare Flask" else [f"/{sizes[page]}"]
                    result = asyncio.run(
                        load.flood(port, asked, CONNECTIONS, effort.window, warmup=0.5)
                    )
                    results[page, name].append(result)
    return _report(sizes, results)


def _report(sizes: dict[str, int], results: dict[tuple[str, str], list[load.Result]]) -> Report:
    def rates(page: str, server: str) -> list[float]:
        return [one.rate for one in results[page, server]]

    rows = [
        Row(
            page=page,
            server=server,
            rate=Spread.of([one.rate for one in rounds]),
            p50=Spread.of([one.p50 * 1000 for one in rounds]),
            p95=Spread.of([one.p95 * 1000 for one in rounds]),
            to_bare=ratio(rates(page, server), rates(page, "bare Flask")),
            generator=max(one.busy for one in rounds),
            failures=sum(one.failures.total() for one in rounds),
        )
        for (page, server), rounds in results.items()
    ]
    cached = {
        page: ratio(rates(page, "with cache"), rates(page, "without cache")) for page in sizes
    }
    return Report(sizes, rows, cached)
