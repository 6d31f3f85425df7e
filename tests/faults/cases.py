"""The faults, and how long people may feel each of them."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil

from tests.faults.platform import Platform, send
from tests.faults.proxy import Mood

Inject = Callable[[Platform], Callable[[], None]]
"""Makes something fail; what it gives ends the fault where it does not end by itself."""

_JOB_SECONDS = 60.0


@dataclass(frozen=True)
class Case:
    """`writes` and `pages`: within so many seconds they work again (the longest time they did
    not). `answers`: a mention posted at the worst moment is answered within so many.

    `hold`: seconds that the fault lasts at least. `config`: how the stack is deployed for it.
    `lossless`: nothing acknowledged may be lost. `short`: part of every run of the tests.
    """

    when: str
    inject: Inject
    writes: float = 2.0
    pages: float = 2.0
    answers: float = 30.0
    hold: float = 6.0
    phase: int = 1
    lossless: bool = True
    short: bool = False
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return (
            f"When {self.when}, then writes work again within {self.writes:g} seconds, "
            f"pages within {self.pages:g} seconds, every mention is answered once within "
            f"{self.answers:g} seconds"
            + (", and nothing acknowledged is lost" if self.lossless else "")
        )

    @property
    def id(self) -> str:
        return f"when {self.when}".replace(" ", "_")


def kill(which: Callable[[Platform], list[psutil.Process]]) -> Inject:
    """SIGKILL: as when it crashes. Whoever watches over it has to notice and start it again."""

    def inject(platform: Platform) -> Callable[[], None]:
        send(signal.SIGKILL, which(platform))
        return lambda: None

    return inject


def stop(which: Callable[[Platform], list[psutil.Process]]) -> Inject:
    """SIGSTOP: as when it hangs. Connections stay open and nothing answers. What has not been
    replaced goes on afterwards, as if no time had passed."""

    def inject(platform: Platform) -> Callable[[], None]:
        processes = which(platform)
        send(signal.SIGSTOP, processes)
        return lambda: send(signal.SIGCONT, processes)

    return inject


def misbehave(mood: Mood) -> Inject:
    def inject(platform: Platform) -> Callable[[], None]:
        platform.proxy.become(mood)
        return lambda: platform.proxy.become(Mood.FINE)

    return inject


def bereave(platform: Platform) -> Callable[[], None]:
    """Nobody is left who would start anything again; deploying again starts a new supervisor."""
    send(signal.SIGKILL, platform.supervisor())
    return platform.deploy


def part(name: str) -> Callable[[Platform], list[psutil.Process]]:
    """All processes of that name. LookupError when none runs."""

    def find(platform: Platform) -> list[psutil.Process]:
        names = platform.parts(name)
        if not names:
            raise LookupError(f"no {name} runs")
        return platform.processes(*names)

    return find


def primary(platform: Platform) -> list[psutil.Process]:
    """The server with the agent beside it, as when their machine is lost."""
    name = platform.primary()
    return list({*platform.processes(name), *platform.server(name)})


def primary_server(platform: Platform) -> list[psutil.Process]:
    """The server alone, as when it crashes."""
    return platform.server(platform.primary())


def replica(platform: Platform) -> list[psutil.Process]:
    name = platform.replica()
    return list({*platform.processes(name), *platform.server(name)})


def shard(platform: Platform) -> list[psutil.Process]:
    return platform.processes(platform.shard())


def amid_a_reply(send_to: Inject) -> Inject:
    """Does it at the worst moment for a worker: Bluesky has its post, and it does not know yet."""

    def inject(platform: Platform) -> Callable[[], None]:
        platform.proxy.become(Mood.HUNG)
        try:
            return send_to(platform)
        finally:
            platform.proxy.become(Mood.FINE)

    return inject


def busy(platform: Platform) -> list[psutil.Process]:
    """The worker that has held a job the longest."""
    leased_by = _wait_for_job(platform)
    for name in platform.parts("worker"):
        processes = platform.processes(name)
        if any(re.search(rf"\b{process.pid}\b", leased_by) for process in processes):
            return processes
    raise LookupError(f"{leased_by} is no worker of this stack")


_LEASED = (
    "SELECT leased_by, lease_until FROM jobs WHERE state = 'leased' AND kind = 'reply'"
    " AND lease_until < now() + interval '29 s' ORDER BY lease_until"
)


def _wait_for_job(platform: Platform) -> str:
    """Who has held a reply for more than a second, so that Bluesky has read it."""
    deadline = time.monotonic() + _JOB_SECONDS
    while time.monotonic() < deadline:
        with platform.site.connect() as conn:
            row = conn.execute(_LEASED).fetchone()
        if row is not None:
            return str(row["leased_by"])
        time.sleep(0.2)
    raise LookupError("nobody has anything to answer")


def disconnect(platform: Platform) -> Callable[[], None]:
    """Every connection of every pool ends at once, as when a pooler in between is restarted."""
    with platform.site.connect() as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND usename = current_user AND"
            " backend_type = 'client backend'"
        )
    return lambda: None


_ASYNC = {"synchronousCommit": "false"}
_FIREHOSE = {"blueskyIngest": "firehose"}

CASES = [
    Case("the primary crashes", kill(primary_server), writes=15, pages=5, answers=60, short=True),
    Case("the primary is lost with its agent", kill(primary), writes=30, pages=5, answers=90),
    Case("the primary hangs", stop(primary_server), writes=30, pages=10, answers=90, hold=15),
    Case(
        "the primary hangs with its agent",
        stop(primary),
        writes=45,
        pages=10,
        answers=120,
        hold=30,
        phase=2,
    ),
    Case("a replica is killed", kill(replica), writes=10, pages=5, phase=2),
    Case("a replica hangs", stop(replica), writes=20, pages=5, hold=15, phase=2),
    Case("the primary of a Redis shard is killed", kill(shard), short=True),
    Case("the primary of a Redis shard hangs", stop(shard), hold=15),
    Case("all of Redis is killed", kill(part("redis"))),
    Case("all of Redis hangs", stop(part("redis")), hold=15),
    Case(
        "a worker is killed in the middle of a reply",
        amid_a_reply(kill(busy)),
        answers=60,
        short=True,
    ),
    Case("a worker hangs in the middle of a reply", amid_a_reply(stop(busy)), answers=60, hold=15),
    Case("the reader of mentions is killed", kill(part("ingest"))),
    Case("the reader of mentions hangs", stop(part("ingest")), answers=60, hold=15),
    Case("all pooled connections are ended", disconnect),
    Case("the site's processes are killed with their pools", kill(part("web")), pages=15),
    Case("the site's processes hang with their pools", stop(part("web")), pages=60, hold=15),
    Case("etcd is killed", kill(part("etcd")), phase=2),
    Case("etcd hangs for longer than the leader's lease", stop(part("etcd")), hold=30, phase=2),
    Case("the edge is killed", kill(part("edge")), pages=5),
    Case("the CDN is killed", kill(part("cdn")), pages=5, phase=2),
    Case("the CDN hangs", stop(part("cdn")), pages=30, hold=15, phase=2),
    Case("the supervisor is killed, until the next deployment", bereave),
    Case("Bluesky answers 429", misbehave(Mood.LIMITED), answers=90, hold=10),
    Case("Bluesky answers 500", misbehave(Mood.BROKEN), answers=90, hold=10, short=True),
    Case("Bluesky cuts its answers", misbehave(Mood.CUT), answers=90, hold=10),
    Case("Bluesky hangs", misbehave(Mood.HUNG), answers=90, hold=15),
    Case("Bluesky cuts the stream", misbehave(Mood.CUT), answers=90, hold=10, config=_FIREHOSE),
    Case(
        "the primary crashes and commits wait for no replica",
        kill(primary_server),
        writes=15,
        pages=5,
        answers=60,
        phase=2,
        lossless=False,
        config=_ASYNC,
    ),
    Case(
        "the primary hangs and commits wait for no replica",
        stop(primary_server),
        writes=30,
        pages=10,
        answers=90,
        hold=15,
        phase=2,
        lossless=False,
        config=_ASYNC,
    ),
]
