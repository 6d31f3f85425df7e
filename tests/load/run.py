"""A load from its plan to its report."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from app.bot.inbox import Bot
from tests.load import outcome, views
from tests.load.intake import Intake
from tests.load.outcome import Times
from tests.load.people import People
from tests.load.plan import Event, Plan
from tests.load.report import Report, broken
from tests.load.sights import Sights
from tests.load.site import Site
from tests.load.usage import Usage

WAYS = ("both", "network", "ingest")
NETWORK_MOST = 120.0
"""Mentions a minute that the local network takes and delivers beside the bot's replies to them."""
DRAIN_SECONDS = 120.0
_BURST = 10
_START_SECONDS = 0.5
_SAY_SECONDS = 1.0


@dataclass(frozen=True)
class Load:
    """`most`: mentions a minute through the network, where the way is `both`."""

    plan: Plan
    mix: str
    seed: int
    through: str = "both"
    network_most: float = NETWORK_MOST
    patience: float = DRAIN_SECONDS


def run(site: Site, load: Load, say: Callable[[str], None]) -> Report:
    """Puts the stack under load, waits until it has done everything, and counts."""
    posted, stored = share(load)
    say("people sign up")
    rate = 60 * len(posted) / load.plan.seconds
    with (
        People(site.bluesky_url, site.bot, rate, load.seed) as people,
        site.database() as database,
        Sights(site.database_url, site.outputs["web_url"]) as sights,
        Usage(site.root) as usage,
    ):
        bot = Bot(people.bot_did, site.bot)
        takers = [(person.handle, person.did) for person in people.recipients]
        intake = Intake(database, bot, takers, load.seed, _label(site, load.seed))
        seen = views.Views()
        began = time.time() + _START_SECONDS

        def progress() -> str:
            done = len(people.posted) + len(intake.stored)
            pages = sum(map(len, seen.seconds.values()))
            wrong = (people.errors + intake.errors + seen.errors).total()
            return (
                f"{max(0.0, time.time() - began):.0f} of {load.plan.seconds:.0f} s: "
                f"{done} of {len(load.plan.mentions)} mentions, "
                f"{pages} of {len(load.plan.pages)} pages, {wrong} errors"
            )

        async def everything() -> None:
            loop = asyncio.get_running_loop()
            ticker = loop.create_task(_tell(say, progress))
            with ThreadPoolExecutor(2) as threads:
                await asyncio.gather(
                    loop.run_in_executor(threads, people.run, posted, began, sights),
                    loop.run_in_executor(threads, intake.run, stored, began, sights),
                    views.view(load.plan.pages, began, site.port, sights, load.seed, seen),
                )
            ticker.cancel()

        asyncio.run(everything())
        seconds = time.time() - began
    drained = outcome.drain(site, load.patience, say)
    found = outcome.find(
        site,
        {
            "network": {post.uri: post.due for post in people.posted},
            "ingest": dict.fromkeys(intake.stored),
        },
    )
    failures = people.errors + seen.errors
    return Report(
        stack=site.name,
        mix=load.mix,
        seed=load.seed,
        seconds=seconds,
        mentions=dict(Counter(event.what for event in load.plan.mentions)),
        outcome=found,
        drain=drained,
        pages={page: Times.of(times) for page, times in sorted(seen.seconds.items())}
        | {"all": Times.of(list(chain.from_iterable(seen.seconds.values())))},
        cached_pages=Times.of(seen.cached_seconds),
        cache=dict(seen.cache),
        errors=dict(failures + intake.errors),
        cores=usage.cores,
        busy=usage.busy,
        workers=(min(usage.workers), max(usage.workers)),
        late=max(seen.late, intake.late),
        broken=broken(found, drained, dict(failures)),
    )


def share(load: Load) -> tuple[Sequence[Event], Sequence[Event]]:
    """Which mentions people of the network post, and which are stored as if they had."""
    mentions = load.plan.mentions
    if load.through == "network":
        return mentions, ()
    if load.through == "ingest":
        return (), mentions
    posted, stored = [], []
    pause = 60 / load.network_most
    free = 0.0  # when the network has room for another, but for a small burst
    for event in mentions:
        if event.at >= free - _BURST * pause:
            posted.append(event)
            free = max(free, event.at) + pause
        else:
            stored.append(event)
    return posted, stored


def _label(site: Site, seed: int) -> str:
    """Tells the people of this run from those of earlier ones in the same database."""
    with site.connect() as conn:
        row = conn.execute(
            "SELECT count(DISTINCT substring(author_did FROM 'load[0-9]+r[0-9]+n')) AS runs"
            " FROM mentions WHERE author_did LIKE %s",
            (f"did:plc:load{seed}r%",),
        ).fetchone()
    return f"load{seed}r{row['runs'] if row else 0}n"


async def _tell(say: Callable[[str], None], progress: Callable[[], str]) -> None:
    while True:
        say(progress())
        await asyncio.sleep(_SAY_SECONDS)
