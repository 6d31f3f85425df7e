"""The last hour of the stack's metrics, as what happened between one scrape and the next.

Counters are kept as increases: so windows add up, and a process that restarted or was away for a
while counts for no less and no more than it did. Pure: nothing here reads a clock or a network.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prometheus_client.samples import Sample

from app.metrics import quantile

Key: TypeAlias = tuple[str, ...]
"""A metric's name, then the values of its labels in the order of `KEPT`."""

Wanted: TypeAlias = str | frozenset[str]
"""A label's value, or several of which each will do."""

# The metrics that are kept, with the labels that are; the others are added up.
KEPT: Mapping[str, tuple[str, ...]] = {
    # The bot
    "etcetera_reply_seconds_bucket": ("priority", "le"),
    "etcetera_effect_seconds_bucket": ("priority", "le"),
    "etcetera_replies_total": ("outcome",),
    "etcetera_mentions_received_total": (),
    "etcetera_bluesky_429_total": (),
    "etcetera_ingest_last_seen_timestamp_seconds": (),
    # The queue
    "etcetera_jobs_open": ("lane", "priority", "state"),
    "etcetera_jobs_oldest_seconds": ("lane", "priority"),
    "etcetera_jobs_dead": (),
    "etcetera_write_points_left": ("account", "window"),
    "etcetera_autoscaler_workers": ("kind",),
    "etcetera_autoscaler_decisions_total": ("direction",),
    # Pages
    "etcetera_web_request_seconds_bucket": ("le",),
    "etcetera_web_request_seconds_count": ("status",),
    "etcetera_cache_requests_total": ("result",),
    "etcetera_cdn_requests_total": ("cache", "status"),
    "etcetera_cdn_request_seconds_bucket": ("cache", "le"),
    "etcetera_site_seconds_bucket": ("cache", "le"),
    # The database
    "etcetera_database_timeouts_total": (),
    "etcetera_reads_total": ("role",),
    "etcetera_replica_lag_seconds": ("server",),
    "etcetera_replica_fresh": ("server",),
    "etcetera_postgres_up": ("server",),
    "etcetera_postgres_lag_seconds_bucket": ("server", "le"),
    # What the monitor tries itself
    "etcetera_probes_total": ("part", "result"),
}
STARTED = "process_start_time_seconds"
_COUNTERS = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True)
class Round:
    """One look at everything. `seen` are the metrics somebody exposed, whatever they said."""

    at: float
    increases: Mapping[Key, float]
    levels: Mapping[Key, float]
    seen: frozenset[str]


class History:
    """Rounds of the last `seconds`. Thread-safe."""

    def __init__(self, seconds: float, every: float) -> None:
        self._rounds: deque[Round] = deque(maxlen=int(seconds / every) + 1)
        self._last: dict[str, dict[Key, float]] = {}
        self._named: dict[str, float] = {}
        self._bounds: defaultdict[str, set[float]] = defaultdict(set)
        self._keys: dict[Key, Key] = {}
        self._began = math.inf
        self._guard = threading.Lock()

    def add(self, at: float, scraped: Mapping[str, Sequence[Sample] | None]) -> Round:
        """Takes what each target said; None for one that did not answer.

        What a target counted before it was first seen is not counted, unless it started since.
        """
        with self._guard:
            return self._add(at, scraped)

    def _add(self, at: float, scraped: Mapping[str, Sequence[Sample] | None]) -> Round:
        self._began = min(self._began, at)
        increases: defaultdict[Key, float] = defaultdict(float)
        levels: dict[Key, float] = {}
        seen: set[str] = set()
        for target, samples in scraped.items():
            levels["up", target] = float(samples is not None)
            self._named[target] = at
            if samples is None:
                continue
            counters: dict[Key, float] = {}
            keys: dict[Key, Key] = {}
            for sample in samples:
                labels = KEPT.get(sample.name)
                if labels is None:
                    continue
                seen.add(sample.name)
                key = (sample.name, *(sample.labels.get(label, "") for label in labels))
                key = self._keys.setdefault(key, key)  # one tuple for all rounds
                if sample.name.endswith(_COUNTERS):
                    series = (sample.name, *map("=".join, sorted(sample.labels.items())))
                    counters[series], keys[series] = sample.value, key
                    if "le" in labels:
                        self._bounds[sample.name].add(float(sample.labels["le"]))
                else:
                    # Each process tells what all of them read from one place.
                    levels[key] = max(sample.value, levels.get(key, sample.value))
            before = self._before(target, samples, counters)
            for series, value in counters.items():
                earlier = before.get(series, 0.0)
                # A counter that fell began again.
                if grown := value - earlier if value >= earlier else value:
                    increases[keys[series]] += grown
            self._last[target] = counters
        made = Round(at, dict(increases), levels, frozenset(seen))  # zeros are left out
        self._rounds.append(made)
        self._forget()
        return made

    def _forget(self) -> None:
        """Leaves out what is not among the targets any more, since none of the rounds."""
        oldest = self._rounds[0].at
        for target in [target for target, at in self._named.items() if at < oldest]:
            del self._named[target]
            self._last.pop(target, None)

    def _before(
        self, target: str, samples: Iterable[Sample], counters: dict[Key, float]
    ) -> Mapping[Key, float]:
        if target in self._last:
            return self._last[target]
        started = next((sample.value for sample in samples if sample.name == STARTED), -math.inf)
        return {} if started > self._began else counters

    def window(self, seconds: float, until: float) -> Window:
        """The rounds of the `seconds` before `until`."""
        with self._guard:
            rounds = tuple(r for r in self._rounds if until - seconds < r.at <= until)
            first = self._rounds[0].at if self._rounds else until
            bounds = {name: frozenset(found) for name, found in self._bounds.items()}
        return Window(rounds, min(seconds, max(0.0, until - first)), bounds)


@dataclass(frozen=True)
class Window:
    """Rounds one after the other. `seconds` is how much of the wanted time was watched."""

    rounds: tuple[Round, ...]
    seconds: float
    bounds: Mapping[str, frozenset[float]]
    """The upper bounds of each histogram's buckets."""

    def seen(self, name: str) -> bool:
        """Whether anybody exposed this metric."""
        return any(name in r.seen for r in self.rounds)

    def total(self, name: str, **labels: Wanted) -> float:
        """How far a counter went, over all series with these labels."""
        return sum(self.per_round(name, **labels))

    def per_round(self, name: str, **labels: Wanted) -> list[float]:
        """How far a counter went in each round."""
        matches = _matcher(name, labels)
        return [
            sum(grown for key, grown in r.increases.items() if matches(key)) for r in self.rounds
        ]

    def by(self, name: str, label: str) -> dict[str, float]:
        """How far a counter went, for each value of a label."""
        place = _place(name, label)
        found: defaultdict[str, float] = defaultdict(float)
        for r in self.rounds:
            for key, grown in r.increases.items():
                if key[0] == name:
                    found[key[place]] += grown
        return dict(found)

    def histogram(self, name: str, **labels: Wanted) -> dict[float, float]:
        """Observations by upper bound, cumulative; empty without any. `name` without `_bucket`."""
        bucket = f"{name}_bucket"
        matches = _matcher(bucket, labels)
        counts = dict.fromkeys(self.bounds.get(bucket, ()), 0.0)
        for r in self.rounds:
            for key, grown in r.increases.items():
                if matches(key):
                    counts[float(key[_place(bucket, "le")])] += grown
        return counts if any(counts.values()) else {}

    def count(self, name: str, **labels: Wanted) -> int:
        """Observations of a histogram."""
        return round(max(self.histogram(name, **labels).values(), default=0.0))

    def quantile(self, part: float, name: str, **labels: Wanted) -> float | None:
        """A quantile of a histogram's observations; None without any."""
        return quantile(part, self.histogram(name, **labels))

    def level(self, name: str, *labels: str) -> float | None:
        """What a gauge said last."""
        key = (name, *labels)
        return next((r.levels[key] for r in reversed(self.rounds) if key in r.levels), None)

    def levels(self, name: str) -> dict[Key, list[float]]:
        """What a gauge said, round by round, for each of its label values."""
        found: defaultdict[Key, list[float]] = defaultdict(list)
        for r in self.rounds:
            for key, value in r.levels.items():
                if key[0] == name:
                    found[key[1:]].append(value)
        return dict(found)


def _place(name: str, label: str) -> int:
    return KEPT[name].index(label) + 1


def _matcher(name: str, labels: Mapping[str, Wanted]) -> Callable[[Key], bool]:
    wanted = [
        (_place(name, label), {value} if isinstance(value, str) else value)
        for label, value in labels.items()
    ]
    return lambda key: key[0] == name and all(key[place] in values for place, values in wanted)
