"""The monitor's loop: looks at everything at once, again and again, whatever is lost meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import structlog
from prometheus_client.samples import Sample

from app.health import PULSE
from app.jobs.stats import Stats, stats
from app.monitor import charts, postgres, probes, targets
from app.monitor.charts import ChartSample
from app.monitor.discovery import Discovery
from app.monitor.figures import Figures
from app.monitor.history import History, Round
from app.monitor.redis import Nodes
from app.settings import Settings

T = TypeVar("T")
U = TypeVar("U")
log = structlog.get_logger(__name__)

KEPT_SECONDS = 3600.0
CHART_SECONDS = 10.0
LAG_SECONDS = 1.0
FORGET_HOURS = 24
# Mentions are counted by when they arrived, once they must have been committed.
COMMITTED_SECONDS = 10.0
OWN = "monitor"
_INGEST_SEEN = "etcetera_ingest_last_seen_timestamp_seconds"


class Monitor:
    """What is known of the stack. `history` and `charts` may be read from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.figures = Figures()
        self.history = History(KEPT_SECONDS, settings.monitor_seconds)
        self.charts: deque[tuple[float, list[ChartSample]]] = deque(
            maxlen=int(KEPT_SECONDS / CHART_SECONDS)
        )
        self.objectives: Mapping[str, float] = settings.monitor_objectives
        self.looked = threading.Event()
        """Set once everything was looked at for the first time."""
        self._every = settings.monitor_seconds
        self._site = settings.monitor_site or settings.public_url
        self._http = targets.client()
        urls = [url.get_secret_value() for url in settings.replica_urls or [settings.database_url]]
        self._servers = {server.name: server for server in map(postgres.Server, urls)}
        self._primary: postgres.Server | None = None
        self._lags = postgres.Lags(urls) if len(urls) > 1 else None
        redis_url = settings.redis_url
        self._nodes = Nodes(redis_url.get_secret_value()) if redis_url else None
        self._intake = probes.Intake()
        self._opened = False
        self._counted_until: float | None = None
        self._up: dict[str, bool] = {}
        self._threads = ThreadPoolExecutor(32, thread_name_prefix="look")
        self._discovery = Discovery(
            {name: url for name, url in settings.monitor_targets.items() if name != OWN},
            self._threads,
        )
        self.targets: Mapping[str, str] = {}
        """What was scraped last: URLs by the name of each process."""

    def run(self, stop: threading.Event) -> None:
        """Watches until `stop`."""
        lags = threading.Thread(target=self._measure_lags, args=(stop,), name="lags", daemon=True)
        lags.start()
        drawn = 0.0
        while not stop.is_set():
            began = time.monotonic()
            PULSE.beat("look", within=self._every + 60)
            try:
                self._look()
                if began - drawn >= CHART_SECONDS - self._every / 2:
                    drawn = began
                    self._draw()
            except Exception:
                # Whatever it is, the next look may go well; a monitor that ended sees nothing.
                log.exception("looking failed")
            stop.wait(max(0.0, self._every - (time.monotonic() - began)))
        lags.join(timeout=postgres.CATCH_UP_SECONDS + postgres.ANSWER_SECONDS)
        self._threads.shutdown(wait=False, cancel_futures=True)

    # -- looking ---------------------------------------------------------------------------------

    def _look(self) -> None:
        self.targets = self._discovery.find()
        scrapes = self._all(self.targets, lambda url: targets.scrape(self._http, url))
        servers = self._all(self._servers, postgres.figures)
        nodes = self._nodes
        asked = self._all({name: name for name in nodes.names}, nodes.figures) if nodes else {}
        visit = self._threads.submit(probes.visit, self._http, self._site)

        scraped = {name: future.result() for name, future in scrapes.items()}
        figures = {name: future.result() for name, future in servers.items()}
        self.figures.postgres.set(figures)
        found = {name: future.result() for name, future in asked.items()}
        self.figures.redis.set(found)
        if nodes:
            nodes.discover([name for name, answer in found.items() if answer is not None])
        names = [name for name, found in figures.items() if found and found["primary"]]
        self._primary = self._servers[names[0]] if names else None
        self._count_queue(self._primary.ask(stats) if self._primary else None)
        self._count_visit(visit.result())
        now = time.time()
        self._count_mentions(now - COMMITTED_SECONDS)
        self._count_intake(now, scraped, primary=self._primary is not None)
        for name in self._up.keys() - scraped.keys() - {OWN}:
            self.figures.up.remove(name)
        for name, samples in scraped.items():
            self.figures.up.labels(target=name).set(samples is not None)
        made = self.history.add(now, {**scraped, OWN: self.figures.samples()})
        self._tell(made)
        self.looked.set()

    def _all(self, things: Mapping[str, T], ask: Callable[[T], U]) -> dict[str, Future[U]]:
        return {name: self._threads.submit(ask, thing) for name, thing in things.items()}

    def _count_queue(self, queue: Stats | None) -> None:
        if queue is None:
            # Nobody knows; what was is not what is.
            self.figures.jobs_open.clear()
            self.figures.jobs_oldest.clear()
            return
        for level in queue.levels:
            labels = {"lane": level.lane.value, "priority": level.priority.name.lower()}
            for state in ("delayed", "due", "leased"):
                self.figures.jobs_open.labels(**labels, state=state).set(getattr(level, state))
            self.figures.jobs_oldest.labels(**labels).set(level.oldest)
        self.figures.jobs_dead.set(queue.dead)

    def _count_mentions(self, until: float) -> None:
        since = self._counted_until
        if since is None:
            self._counted_until = until
        elif self._primary is not None:
            arrived = self._primary.ask(
                lambda conn: postgres.SQL.mentions_received(conn, first=since, last=until)
            )
            if arrived is not None:
                self.figures.mentions.inc(arrived)
                self._counted_until = until

    def _count_visit(self, visit: probes.Visit) -> None:
        self._opened = self._opened or visit.up
        if not self._opened:
            return  # a stack that comes up is not down yet
        result = "up" if visit.up else "down"
        self.figures.probes.labels(part="site", result=result).inc()
        if visit.up:
            self.figures.site.labels(cache=visit.cache).observe(visit.seconds)

    def _count_intake(
        self, now: float, scraped: Mapping[str, list[Sample] | None], *, primary: bool
    ) -> None:
        seen = [
            sample.value
            for samples in scraped.values()
            for sample in samples or ()
            if sample.name == _INGEST_SEEN and sample.value > 0
        ]
        up = self._intake.up(now, read_at=max(seen, default=None), primary=primary)
        if up is not None:
            self.figures.probes.labels(part="bot", result="up" if up else "down").inc()

    def _tell(self, made: Round) -> None:
        """Logs what came or went since the round before."""
        up = {key[1]: bool(value) for key, value in made.levels.items() if key[0] == "up"}
        for name, now in up.items():
            if self._up.get(name, now) != now:
                log.info("target is back" if now else "target is gone", target=name)
        self._up = up

    def _measure_lags(self, stop: threading.Event) -> None:
        while self._lags is not None and not stop.wait(LAG_SECONDS):
            try:
                for server, seconds in self._lags.measure():
                    self.figures.lag.labels(server=server).observe(seconds)
            except Exception:
                log.exception("measuring lags failed")
        if self._lags is not None:
            self._lags.close()

    # -- charts ----------------------------------------------------------------------------------

    def _draw(self) -> None:
        now = time.time()
        drawn = charts.samples(self.history.window(charts.SECONDS, now))
        self.charts.append((now, drawn))
        if self._primary is None:
            return
        self._primary.ask(
            lambda conn: (
                postgres.SQL.add_samples(
                    conn,
                    at=now,
                    series=[sample.series for sample in drawn],
                    labels=[sample.label for sample in drawn],
                    values=[sample.value for sample in drawn],
                ),
                postgres.SQL.forget_samples(conn, hours=FORGET_HOURS),
            )
        )
