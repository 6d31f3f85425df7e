"""What the charts of the site show, read from the last minute of the history. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from app.monitor.history import Window
from app.monitor.objectives import cache_hits, cdn_hits, replica_reads

SECONDS = 60.0
"""Of history behind each sample."""


@dataclass(frozen=True)
class ChartSample:
    """A line's value: `series` is the chart, `label` the line. Seconds, shares of 1 or numbers."""

    series: str
    label: str
    value: float


def samples(window: Window) -> list[ChartSample]:
    """What there is a value for; the rest is left out."""
    return [
        ChartSample(series, label, value)
        for series, label, value in _values(window)
        if value is not None
    ]


def _values(window: Window) -> Iterator[tuple[str, str, float | None]]:
    for series, levels in (
        ("depth", _by_priority(window, "etcetera_jobs_open", 1, total=True)),
        ("oldest", _by_priority(window, "etcetera_jobs_oldest_seconds", 1, total=False)),
    ):
        for priority, value in levels.items():
            yield series, priority, value
    for series, metric in (
        ("effect", "etcetera_effect_seconds"),
        ("reply", "etcetera_reply_seconds"),
        ("page", "etcetera_web_request_seconds"),
    ):
        yield series, "p50", window.quantile(0.5, metric)
        yield series, "p95", window.quantile(0.95, metric)
    # By number: where the servers are is nobody's business.
    servers = sorted(server for (server,) in window.levels("etcetera_postgres_up"))
    for number, server in enumerate(servers, start=1):
        lag = window.quantile(0.99, "etcetera_postgres_lag_seconds", server=server)
        yield "lag", f"server {number}", lag
    yield "hits", "cache", cache_hits(window)
    yield "hits", "cdn", cdn_hits(window)
    yield "hits", "replicas", replica_reads(window)
    running = [
        values[-1] for (name,), values in window.levels("up").items() if name.startswith("worker-")
    ]
    yield "workers", "running", sum(running) if running else None
    yield "workers", "wanted", window.level("etcetera_autoscaler_workers", "wanted")
    for (account, span), values in window.levels("etcetera_write_points_left").items():
        if span == "hour":
            yield "points", account, values[-1]
    if window.seconds > 0:
        mentions = window.total("etcetera_mentions_received_total")
        yield "mentions", "received", mentions * 60 / window.seconds


def _by_priority(window: Window, name: str, place: int, *, total: bool) -> dict[str, float]:
    """The latest of each series, of a priority together: added up, or the highest."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    if window.rounds:
        for key, value in window.rounds[-1].levels.items():
            if key[0] == name:
                found[key[place + 1]].append(value)
    return {priority: sum(values) if total else max(values) for priority, values in found.items()}
