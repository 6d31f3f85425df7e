"""What the processes measure, in one place, so that names and units agree between roles.

Times are seconds. Counters and histograms live in the process that observes them; what the database
knows better (queue depth, dead letters, write points) is read from it when Prometheus asks.

The success metrics of the phases read off these:
bot p95 < 3 s `etcetera_reply_seconds`, page < 1 s `etcetera_web_request_seconds`,
cache hits > 80 % `etcetera_cache_requests_total`, no database timeouts
`etcetera_database_timeouts_total`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import psycopg_pool
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.jobs.queries import SQL
from app.jobs.stats import stats

if TYPE_CHECKING:
    from app.db import Database
    from app.settings import Settings

if _folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # Each metric below opens a file there.
    Path(_folder).mkdir(parents=True, exist_ok=True)

CONTENT_TYPE = CONTENT_TYPE_LATEST

# A scrape must not wait for a database that fails over.
_DATABASE_SECONDS = 1.0
_BOT_SECONDS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10, 15, 20, 30, 60)
_JOB_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 20, 30, 60, 300)
_WEB_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5)

# The bot
REPLY_SECONDS = Histogram(
    "etcetera_reply_seconds",
    "From the mention's arrival to its reply on Bluesky, without the wanted delay of its priority.",
    ["priority"],
    buckets=_BOT_SECONDS,
)
EFFECT_SECONDS = Histogram(
    "etcetera_effect_seconds",
    "From the mention's arrival to its committed effect, without the wanted delay of its priority.",
    ["priority"],
    buckets=_BOT_SECONDS,
)
REPLIES = Counter("etcetera_replies", "Replies by what became of them.", ["outcome"])
DIGESTS = Counter("etcetera_digests", "Posts that answered several people at once.")
COMMANDS = Counter(
    "etcetera_commands", "Commands understood, by name and result.", ["name", "result"]
)
RATE_LIMITED = Counter(
    "etcetera_bluesky_429", "Requests that Bluesky refused with 429.", ["account"]
)

# Ingest
MENTIONS = Counter("etcetera_mentions", "Mentions stored, by source.", ["source"])
INGEST_LAG = Gauge(
    "etcetera_ingest_lag_seconds",
    "Age of the newest mention when it was stored.",
    multiprocess_mode="mostrecent",
)
INGEST_SEEN = Gauge(
    "etcetera_ingest_last_seen_timestamp_seconds",
    "When the source of mentions was last read with success (Unix time).",
    multiprocess_mode="mostrecent",
)

# Jobs
JOBS = Counter("etcetera_jobs", "Jobs worked on, by kind and outcome.", ["kind", "outcome"])
JOB_WAIT_SECONDS = Histogram(
    "etcetera_job_wait_seconds",
    "From when a job was due to when a worker started it.",
    ["lane", "priority"],
    buckets=_JOB_SECONDS,
)
JOB_SECONDS = Histogram(
    "etcetera_job_seconds",
    "From when a job was put to when it was done, with its delay and its retries.",
    ["lane", "priority"],
    buckets=_JOB_SECONDS,
)
JOB_ATTEMPTS = Histogram(
    "etcetera_job_attempts",
    "Attempts a finished job took.",
    ["kind"],
    buckets=(1, 2, 3, 4, 5, 6, 8),
)
LEASES_EXPIRED = Counter(
    "etcetera_leases_expired", "Leases taken over because their worker died or hung."
)
LEASED = Counter("etcetera_leases", "Jobs leased, by the way their id came.", ["source"])
DISPATCHED = Counter("etcetera_dispatched", "Ids put on Redis streams, by stream.", ["stream"])
REDIS_FAILURES = Counter(
    "etcetera_redis_failures", "Times that Redis was given up, by user.", ["user"]
)

# Autoscaler
AUTOSCALER_WORKERS = Gauge(
    "etcetera_autoscaler_workers", "Workers wanted, and the bounds of that.", ["kind"]
)
AUTOSCALER_DECISIONS = Counter(
    "etcetera_autoscaler_decisions", "Decisions, one a second.", ["direction", "reason"]
)

# Web, cache, database
WEB_SECONDS = Histogram(
    "etcetera_web_request_seconds",
    "Time to answer a web request.",
    ["endpoint", "status"],
    buckets=_WEB_SECONDS,
)
CACHE_REQUESTS = Counter("etcetera_cache_requests", "Cache lookups.", ["region", "result"])
DATABASE_WAIT_SECONDS = Histogram(
    "etcetera_database_wait_seconds",
    "Time waited for a pooled database connection.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
)
DATABASE_TIMEOUTS = Counter(
    "etcetera_database_timeouts", "Times that no database connection came free in time."
)
READS = Counter(
    "etcetera_reads", "Reads that a replica may answer (those of pages), by who did.", ["role"]
)
REPLICA_LAG = Gauge(
    "etcetera_replica_lag_seconds",
    "For how long a server has lacked something that the primary had; 0 for the primary.",
    ["server"],
    multiprocess_mode="livemax",
)
REPLICA_FRESH = Gauge(
    "etcetera_replica_fresh",
    "1 while a server answers and has what the primary has.",
    ["server"],
    multiprocess_mode="livemin",
)


class DatabaseCollector(Collector):
    """Queue depth, dead letters and write points, read from the database at each scrape.

    Every ingest and worker process tells them: take their maximum over instances, not their sum.
    When the database cannot be read these series are absent and `etcetera_database_up` is 0.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._limits = {
            "hour": settings.bluesky_write_points_hour,
            "day": settings.bluesky_write_points_day,
        }
        self._accounts = {account.handle for account in settings.bot_accounts}

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("etcetera_database_up", "1 when the database answered this scrape.")
        try:
            with self._database.read(fresh=True, timeout=_DATABASE_SECONDS) as conn:
                queue = stats(conn)
                spent = {row["account"]: row for row in SQL.write_points(conn)}
        except (psycopg.Error, psycopg_pool.PoolTimeout):
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up

        depth = GaugeMetricFamily(
            "etcetera_jobs_open", "Jobs not done yet.", labels=["lane", "priority", "state"]
        )
        oldest = GaugeMetricFamily(
            "etcetera_jobs_oldest_seconds",
            "How long the oldest due job waits.",
            labels=["lane", "priority"],
        )
        for row in queue.levels:
            labels = [row.lane, row.priority.name.lower()]
            for state in ("delayed", "due", "leased"):
                depth.add_metric([*labels, state], getattr(row, state))
            oldest.add_metric(labels, row.oldest)
        yield depth
        yield oldest
        yield GaugeMetricFamily("etcetera_jobs_dead", "Dead letters.", value=queue.dead)

        left = GaugeMetricFamily(
            "etcetera_write_points_left",
            "Bluesky write points an account may still spend.",
            labels=["account", "window"],
        )
        for account in sorted(self._accounts | spent.keys()):
            for window, limit in self._limits.items():
                used = spent[account][window] if account in spent else 0
                left.add_metric([account, window], max(0, limit - used))
        yield left


def expose(database: Database | None, settings: Settings) -> bytes:
    """The text for /metrics: of all processes of a multi-process server, or of this one."""
    registry = CollectorRegistry() if os.environ.get("PROMETHEUS_MULTIPROC_DIR") else None
    parts = []
    if registry is None:
        parts.append(generate_latest(REGISTRY))
    else:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        parts.append(generate_latest(registry))
    if database is not None:
        scraped = CollectorRegistry()
        scraped.register(DatabaseCollector(database, settings))
        parts.append(generate_latest(scraped))
    return b"".join(parts)


def quantile(part: float, cumulative: Mapping[float, float]) -> float | None:
    """A quantile from a cumulative histogram, interpolated within its bucket as Prometheus does."""
    bounds = sorted(cumulative)
    total = cumulative[bounds[-1]] if bounds else 0
    if total <= 0:
        return None
    rank = part * total
    for lower, upper in pairwise([0.0, *bounds]):
        below = cumulative.get(lower, 0.0)
        if cumulative[upper] >= rank:
            if upper == float("inf"):
                return lower
            return lower + (upper - lower) * (rank - below) / max(cumulative[upper] - below, 1e-9)
    return None
