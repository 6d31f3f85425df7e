"""Whether the phase reaches its objectives, judged from a window of the history. Pure.

Percentiles come from histograms, so they are right to within a bucket. A window without enough to
judge by says so and what would change that, rather than calling silence a success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.monitor.history import Window

LOAD = "run scripts/load"
PATIENCE = "wait a little"
PRIORITIES = ("high", "normal", "low")
HITS = frozenset({"hit", "stale"})
KEPT_ANSWERS = frozenset({"hit", "stale", "updating"})
"""What the CDN says of answers for which nobody waited for the origin."""
# A percentile of fewer observations says nothing: one in 20, one in 100.
LEAST_P95 = 20
LEAST_P99 = 100
# How much of a stated rate has to arrive in a window for it to be a test of that rate.
ARRIVING = 0.9
SERVED = 0.99
LEAST_MINUTES = 0.9
# Work that is open at the end of a window for less than this does not count as left behind.
MOMENT_SECONDS = 10.0
# How long a worker may take to start or to finish what it does.
SETTLING_SECONDS = 45.0


class Verdict(StrEnum):
    OK = "ok"
    MISSED = "missed"
    NO_DATA = "no data"
    ELSEWHERE = "elsewhere"
    """A running stack cannot show it; `how` says what does."""


@dataclass(frozen=True)
class Finding:
    """One objective against what was measured, in `unit`; `how` is for people."""

    name: str
    title: str
    unit: str
    limit: float | None
    measured: float | None
    verdict: Verdict
    samples: int
    how: str


@dataclass(frozen=True)
class Figure:
    """Something worth knowing that has no limit of its own."""

    title: str
    unit: str
    value: float | None


Judge = Callable[[Window, float], Finding]


def judge(window: Window, limits: Mapping[str, float]) -> list[Finding]:
    """A finding for each objective, in the order of the roadmap, and for what comes with them."""
    if "bot_p95_seconds" in limits:
        # A reply can be late for Bluesky's sake; what people asked for must not be.
        limits = {"bot_effect_p95_seconds": limits["bot_p95_seconds"], **limits}
    found = [JUDGES[name](window, limits[name]) for name in JUDGES if name in limits]
    if window.seen("etcetera_autoscaler_workers"):
        found.append(_autoscaling(window))
    unknown = [
        Finding(name, name, "", limit, None, Verdict.NO_DATA, 0, "the monitor does not know it")
        for name, limit in limits.items()
        if name not in JUDGES
    ]
    return found + unknown


# -- the bot ---------------------------------------------------------------------------------------


def _bot(window: Window, limit: float) -> Finding:
    return _slowest(
        window,
        "bot_p95_seconds",
        "Reply, p95",
        limit,
        "etcetera_reply_seconds",
        "mention received to reply on Bluesky, less the wanted delay of its priority",
    )


def _effect(window: Window, limit: float) -> Finding:
    return _slowest(
        window,
        "bot_effect_p95_seconds",
        "Effect, p95",
        limit,
        "etcetera_effect_seconds",
        "mention received to effect committed, less the wanted delay of its priority",
    )


def _slowest(
    window: Window, name: str, title: str, limit: float, metric: str, what: str
) -> Finding:
    return _percentile(
        name,
        title,
        limit,
        window.quantile(0.95, metric),
        window.count(metric),
        LEAST_P95,
        f"{what}; all priorities",
    )


def _mentions(window: Window, limit: float) -> Finding:
    """Whether so many mentions a minute are served: they have to arrive, and none is left over."""
    metric = "etcetera_mentions_received_total"
    arrivals = window.per_round(metric)
    busy = [number for number, arrived in enumerate(arrivals) if arrived]
    minutes = rate = served = 0.0
    if busy and busy[-1] > 0:
        first, last = window.rounds[max(0, busy[0] - 1)], window.rounds[busy[-1]]
        minutes = (last.at - first.at) / 60
        rate = sum(arrivals) / minutes
        served = window.count("etcetera_effect_seconds") / sum(arrivals)
    open_for = [ages[-1] for ages in window.levels("etcetera_jobs_oldest_seconds").values()]
    waiting = max(open_for, default=0.0)
    how = f"arrived over {minutes:.1f} min; effects of {served:.0%}"
    if rate < limit * ARRIVING or minutes < LEAST_MINUTES:
        verdict, how = Verdict.NO_DATA, f"{how}; too few to tell: {LOAD}"
    elif served >= SERVED or waiting < MOMENT_SECONDS:
        verdict = Verdict.OK
    else:
        verdict, how = Verdict.MISSED, f"{how}; the oldest waits for {waiting:.0f} s"
    return Finding(
        "mentions_per_minute",
        "Mentions a minute",
        "/min",
        limit,
        rate if minutes else None,
        verdict,
        round(sum(arrivals)),
        how,
    )


# -- pages -----------------------------------------------------------------------------------------


def _page(window: Window, limit: float) -> Finding:
    metric = "etcetera_web_request_seconds"
    return _percentile(
        "page_p95_seconds",
        "Page, p95",
        limit,
        window.quantile(0.95, metric),
        _by_others(window, window.count(metric)),
        LEAST_P95,
        "pages and API as the web processes answer them",
    )


def _by_others(window: Window, requests: float) -> int:
    """Of so many requests, those that are surely not the monitor's own."""
    return max(0, round(requests - window.total("etcetera_probes_total", part="site")))


def _cached_answer(window: Window, limit: float) -> Finding:
    metric, how = "etcetera_cdn_request_seconds", "answers that the CDN had, first to last byte"
    if not window.seen(f"{metric}_bucket"):
        metric, how = "etcetera_site_seconds", "the monitor's own visits of the home page"
    return _percentile(
        "cached_answer_p95_seconds",
        "Cached answer, p95",
        limit,
        window.quantile(0.95, metric, cache=KEPT_ANSWERS),
        window.count(metric, cache=KEPT_ANSWERS),
        LEAST_P95,
        how,
    )


def _cache(window: Window, limit: float) -> Finding:
    """Of all that could come from a cache, what did: the CDN's and, behind it, Redis."""
    edge = window.total("etcetera_cdn_requests_total", cache=KEPT_ANSWERS)
    lookups = window.total("etcetera_cache_requests_total")
    hits = window.total("etcetera_cache_requests_total", result=HITS)
    asked = edge + lookups
    ratio = (edge + hits) / asked if asked else None
    parts = f"Redis {_percent(hits, lookups)} of look-ups"
    if window.seen("etcetera_cdn_requests_total"):
        parts = f"CDN answers and look-ups behind it; {parts}"
    others = _by_others(window, asked)
    if ratio is None or others < LEAST_P95:
        verdict, parts = Verdict.NO_DATA, f"{parts}; too few to tell: {LOAD}"
    else:
        verdict = Verdict.OK if ratio > limit else Verdict.MISSED
    return Finding("cache_hit_ratio", "Cache hits", "%", limit, ratio, verdict, round(asked), parts)


# -- the database ----------------------------------------------------------------------------------


def _timeouts(window: Window, limit: float) -> Finding:
    metric = "etcetera_database_timeouts_total"
    count = window.total(metric)
    seen = sum(metric in r.seen for r in window.rounds)
    verdict = Verdict.OK if count <= limit else Verdict.MISSED
    return Finding(
        "database_connection_timeouts",
        "Database timeouts",
        "",
        limit,
        count if seen else None,
        verdict if seen else Verdict.NO_DATA,
        seen,
        "waits for a pooled connection that were given up, all processes",
    )


def _lag(window: Window, limit: float) -> Finding:
    metric = "etcetera_postgres_lag_seconds"
    servers = window.by(f"{metric}_bucket", "server")
    worst = max(
        ((window.quantile(0.99, metric, server=server) or 0.0, server) for server in servers),
        default=None,
    )
    return _percentile(
        "replica_lag_p99_seconds",
        "Replica lag, p99",
        limit,
        worst[0] if worst else None,
        min((window.count(metric, server=server) for server in servers), default=0),
        LEAST_P99,
        f"time a replica takes to have what the primary has; worst of {len(servers)}",
        PATIENCE,
    )


# -- all of it -------------------------------------------------------------------------------------


def _uptime(window: Window, limit: float) -> Finding:
    """The worse of two: the site answers, and the bot takes mentions.

    The bot counts as up while mentions are taken within a minute: shorter breaks lose nothing and
    delay little, since mentions wait at Bluesky and jobs in PostgreSQL.
    """
    shares, tries = {}, 0
    for part in ("site", "bot"):
        up = window.total("etcetera_probes_total", part=part, result="up")
        down = window.total("etcetera_probes_total", part=part, result="down")
        tries += round(up + down)
        if up + down:
            shares[part] = up / (up + down)
    worst = min(shares.values(), default=None)
    parts = ", ".join(f"{part} {share:.3%}" for part, share in shares.items())
    how = f"tries that were answered ({parts}); the bot: mentions are taken within a minute"
    if worst is None or len(shares) < 2:
        verdict, how = Verdict.NO_DATA, f"{how}; {PATIENCE}"
    else:
        verdict = Verdict.OK if worst > limit else Verdict.MISSED
    return Finding("uptime_ratio", "Up", "%", limit, worst, verdict, tries, how)


def _autoscaling(window: Window) -> Finding:
    """Workers run as the autoscaler wants, within its bounds; when it should act, it knows."""
    off, worst, numbers = 0.0, 0.0, []
    outside = False
    previous = window.rounds[0].at if window.rounds else 0.0
    for r in window.rounds:
        wanted, least, most = (
            r.levels.get(("etcetera_autoscaler_workers", kind))
            for kind in ("wanted", "least", "most")
        )
        running = sum(up for key, up in r.levels.items() if _is_worker(key))
        if wanted is None or least is None or most is None:
            continue
        numbers.append(running)
        outside = outside or not least <= wanted <= most
        off = 0.0 if running == wanted else off + r.at - previous
        worst, previous = max(worst, off), r.at
    moves = window.by("etcetera_autoscaler_decisions_total", "direction")
    told = ", ".join(f"{round(moves.get(way, 0))} {way}" for way in ("up", "down"))
    how = (
        f"{min(numbers, default=0):.0f} to {max(numbers, default=0):.0f} ran; decisions: {told};"
        f" at most {worst:.0f} s off what was wanted"
    )
    good = not outside and worst <= SETTLING_SECONDS
    return Finding(
        "autoscaling",
        "Workers as wanted",
        "s",
        SETTLING_SECONDS,
        worst if numbers else None,
        (Verdict.OK if good else Verdict.MISSED) if numbers else Verdict.NO_DATA,
        len(numbers),
        how,
    )


def _concurrency(_: Window, limit: float) -> Finding:
    return Finding(
        "concurrency_over_previous_phase",
        "People at a time, to the phase before",
        "x",
        limit,
        None,
        Verdict.ELSEWHERE,
        0,
        "compares two stacks: scripts/bench phases",
    )


def _is_worker(key: tuple[str, ...]) -> bool:
    return key[0] == "up" and key[1].startswith("worker-")


JUDGES: Mapping[str, Judge] = {
    "uptime_ratio": _uptime,
    "bot_p95_seconds": _bot,
    "bot_effect_p95_seconds": _effect,
    "mentions_per_minute": _mentions,
    "page_p95_seconds": _page,
    "cached_answer_p95_seconds": _cached_answer,
    "cache_hit_ratio": _cache,
    "database_connection_timeouts": _timeouts,
    "replica_lag_p99_seconds": _lag,
    "concurrency_over_previous_phase": _concurrency,
}


def _percentile(
    name: str,
    title: str,
    limit: float,
    measured: float | None,
    samples: int,
    least: int,
    how: str,
    remedy: str = LOAD,
) -> Finding:
    if measured is None or samples < least:
        verdict, how = Verdict.NO_DATA, f"{how}; too few to tell: {remedy}"
    else:
        verdict = Verdict.OK if measured < limit else Verdict.MISSED
    return Finding(name, title, "s", limit, measured, verdict, samples, how)


# -- without a limit -------------------------------------------------------------------------------


def figures(window: Window) -> list[Figure]:
    """What else the window shows."""
    return [
        *_times(window, "Effect", "etcetera_effect_seconds"),
        *_times(window, "Reply", "etcetera_reply_seconds"),
        Figure("Page, p50", "s", window.quantile(0.5, "etcetera_web_request_seconds")),
        Figure("Page, p99", "s", window.quantile(0.99, "etcetera_web_request_seconds")),
        Figure("Home page from outside, p95", "s", window.quantile(0.95, "etcetera_site_seconds")),
        Figure("Answers with 5xx", "", _failed(window)),
        Figure("CDN hits", "%", cdn_hits(window)),
        Figure("Redis hits", "%", cache_hits(window)),
        Figure("Reads that replicas served", "%", replica_reads(window)),
        Figure("Replies that 429 refused", "", window.total("etcetera_bluesky_429_total")),
        Figure("Dead letters", "", window.level("etcetera_jobs_dead")),
    ]


def _times(window: Window, what: str, metric: str) -> Iterator[Figure]:
    for priority in PRIORITIES:
        for part in (0.5, 0.95, 0.99):
            value = window.quantile(part, metric, priority=priority)
            yield Figure(f"{what}, {priority}, p{part * 100:.0f}", "s", value)


def _failed(window: Window) -> float:
    by_status = window.by("etcetera_web_request_seconds_count", "status")
    cdn = window.total("etcetera_cdn_requests_total", status="5xx")
    return max(cdn, sum(n for status, n in by_status.items() if status.startswith("5")))


def cdn_hits(window: Window) -> float | None:
    """Of what the CDN may keep, what it had."""
    asked = window.by("etcetera_cdn_requests_total", "cache")
    kept = sum(n for cache, n in asked.items() if cache != "bypass")
    return sum(asked.get(cache, 0.0) for cache in KEPT_ANSWERS) / kept if kept else None


def cache_hits(window: Window) -> float | None:
    """Of the look-ups in Redis, what was there."""
    asked = window.total("etcetera_cache_requests_total")
    return window.total("etcetera_cache_requests_total", result=HITS) / asked if asked else None


def replica_reads(window: Window) -> float | None:
    """Of the reads from the database, what replicas answered."""
    asked = window.by("etcetera_reads_total", "role")
    total = sum(asked.values())
    return asked.get("replica", 0.0) / total if total else None


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "–"  # noqa: RUF001
