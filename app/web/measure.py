"""What the status page says about the web server itself, read from its own metrics.

Prometheus keeps history elsewhere; here a few samples of the counters are kept, so that the page
can speak about the last minutes rather than about all time.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from app.metrics import quantile

WINDOW_SECONDS = 600
_STEP_SECONDS = 5


@dataclass(frozen=True)
class Totals:
    """Counters since the start of the server, over all its processes."""

    at: float
    requests: Mapping[float, float] = field(default_factory=dict)
    """Requests by upper bound of their seconds, cumulative."""
    failures: float = 0
    """Answered with 5xx."""
    lookups: float = 0
    hits: float = 0


@dataclass(frozen=True)
class Recent:
    """The last minutes; None where nothing happened."""

    seconds: float
    requests: int
    failures: int
    p95: float | None
    """Seconds."""
    hit_rate: float | None
    """From 0 to 1."""
    lookups: int


class Measurements:
    """Takes a sample whenever asked, a few seconds apart at least. Thread-safe."""

    def __init__(self) -> None:
        self._samples: deque[Totals] = deque([Totals(time.monotonic())])
        self._guard = threading.Lock()

    def recent(self) -> Recent:
        now = totals()
        with self._guard:
            if now.at - self._samples[-1].at >= _STEP_SECONDS:
                self._samples.append(now)
            while len(self._samples) > 1 and self._samples[1].at <= now.at - WINDOW_SECONDS:
                self._samples.popleft()
            first = self._samples[0]
        return between(first, now)


def between(first: Totals, last: Totals) -> Recent:
    buckets = {
        bound: count - first.requests.get(bound, 0) for bound, count in last.requests.items()
    }
    lookups = last.lookups - first.lookups
    return Recent(
        seconds=last.at - first.at,
        requests=int(max(buckets.values(), default=0)),
        failures=int(last.failures - first.failures),
        p95=quantile(0.95, buckets),
        hit_rate=(last.hits - first.hits) / lookups if lookups > 0 else None,
        lookups=int(lookups),
    )


def totals() -> Totals:
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry = REGISTRY
    requests: defaultdict[float, float] = defaultdict(float)
    failures = lookups = hits = 0.0
    for name, labels, value in _samples(registry):
        if name == "etcetera_web_request_seconds_bucket":
            requests[float(labels["le"])] += value
        elif name == "etcetera_web_request_seconds_count" and labels["status"].startswith("5"):
            failures += value
        elif name == "etcetera_cache_requests_total":
            lookups += value
            hits += value if labels["result"] in ("hit", "stale") else 0
    return Totals(time.monotonic(), dict(requests), failures, lookups, hits)


def _samples(registry: CollectorRegistry) -> Iterable[tuple[str, Mapping[str, str], float]]:
    for metric in registry.collect():
        for sample in metric.samples:
            yield sample.name, sample.labels, sample.value
