"""The monitor's own metrics: of servers that have no endpoint, and of what it tries."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

_LAG_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.3),
    *(0.5, 1, 2, 5),
)
_SITE_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5)

POSTGRES = {
    "primary": "1 when the server is the primary.",
    "connections": "Open connections.",
    "max_connections": "Connections the server takes.",
    "commits_total": "Transactions committed.",
    "rollbacks_total": "Transactions rolled back.",
    "blocks_hit_total": "Blocks found in memory.",
    "blocks_read_total": "Blocks read from disk, or from the system's cache of it.",
    "deadlocks_total": "Deadlocks.",
    "conflicts_total": "Queries of a replica cancelled because of what it had to replay.",
    "temporary_bytes_total": "Written to temporary files.",
    "size_bytes": "Size of the database.",
}
REDIS = {
    "primary": "1 when the server is a primary.",
    "link": "1 when a replica has its primary; 1 on a primary.",
    "memory_bytes": "Memory in use.",
    "max_memory_bytes": "Memory it may use.",
    "connections": "Open connections.",
    "operations_total": "Commands done.",
    "hits_total": "Keys found.",
    "misses_total": "Keys not found.",
    "evicted_keys_total": "Keys dropped for want of memory.",
    "expired_keys_total": "Keys whose time was over.",
    "replicas": "Replicas connected to it.",
}


class ServerFigures(Collector):
    """The latest figures of servers of one kind; without an answer only `up` 0 is left of one."""

    def __init__(self, kind: str, documentation: Mapping[str, str]) -> None:
        self._kind = kind
        self._documentation = documentation
        self._latest: dict[str, Mapping[str, float] | None] = {}
        self._guard = threading.Lock()

    def set(self, latest: Mapping[str, Mapping[str, float] | None]) -> None:
        with self._guard:
            self._latest = dict(latest)

    def collect(self) -> Iterator[Metric]:
        with self._guard:
            latest = self._latest
        up = self._family("up", "1 when the server answered last.")
        for server, figures in latest.items():
            up.add_metric([server], float(figures is not None))
        yield up
        for name, documentation in self._documentation.items():
            family = self._family(name, documentation)
            for server, figures in latest.items():
                value = (figures or {}).get(name.removesuffix("_total"))
                if value is not None:
                    family.add_metric([server], value)
            yield family

    def _family(self, name: str, documentation: str) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        return kind(f"etcetera_{self._kind}_{name}", documentation, labels=["server"])


class Figures:
    """All of the monitor's own metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.postgres = ServerFigures("postgres", POSTGRES)
        self.redis = ServerFigures("redis", REDIS)
        self.registry.register(self.postgres)
        self.registry.register(self.redis)
        self.up = Gauge(
            "etcetera_up", "1 when the target was scraped.", ["target"], registry=self.registry
        )
        self.lag = Histogram(
            "etcetera_postgres_lag_seconds",
            "How long a replica takes to have what the primary has; measured every second.",
            ["server"],
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )
        self.mentions = Counter(
            "etcetera_mentions_received",
            "Mentions in the inbox, whoever put them there; each is counted some seconds later.",
            registry=self.registry,
        )
        self.probes = Counter(
            "etcetera_probes",
            "Tries of the site (a page at its public address) and of the bot (mentions are taken).",
            ["part", "result"],
            registry=self.registry,
        )
        self.site = Histogram(
            "etcetera_site_seconds",
            "Time to get the home page at the public address; by what the CDN did, where it tells.",
            ["cache"],
            buckets=_SITE_SECONDS,
            registry=self.registry,
        )
        self.jobs_open = Gauge(
            "etcetera_jobs_open",
            "Jobs not done yet.",
            ["lane", "priority", "state"],
            registry=self.registry,
        )
        self.jobs_oldest = Gauge(
            "etcetera_jobs_oldest_seconds",
            "How long the oldest due job waits.",
            ["lane", "priority"],
            registry=self.registry,
        )
        self.jobs_dead = Gauge("etcetera_jobs_dead", "Dead letters.", registry=self.registry)

    def expose(self) -> bytes:
        return generate_latest(self.registry)

    def samples(self) -> list[Sample]:
        """The same, for the monitor's own history."""
        return [sample for family in self.registry.collect() for sample in family.samples]
