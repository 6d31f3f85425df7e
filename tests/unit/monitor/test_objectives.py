"""Decides when the monitor calls an objective reached, missed or not measured."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from prometheus_client.samples import Sample

from app.monitor.history import History, Window
from app.monitor.objectives import JUDGES, Finding, Verdict, figures, judge
from infra.phases import PHASES, Objectives

STEP = 5.0


class Stack:
    """Counters and gauges as a stack would show them, scraped every five seconds."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._history = History(3600, STEP)
        self._at = 0.0

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        key = (name, tuple(labels.items()))
        self.values[key] = self.values.get(key, 0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        self.values[name, tuple(labels.items())] = value

    def observe(self, name: str, seconds: float, times: int = 1, **labels: str) -> None:
        for bound in (0.05, 0.1, 0.5, 1, 2, 3, 5, float("inf")):
            self.add(f"{name}_bucket", times * (seconds <= bound), **labels, le=str(bound))

    def scrape(self, *, away: tuple[str, ...] = (), rounds: int = 1) -> None:
        for _ in range(rounds):
            samples = [Sample(name, dict(labels), v) for (name, labels), v in self.values.items()]
            workers: dict[str, list[Sample] | None] = {f"worker-{n}": [] for n in range(1, 4)}
            scraped = {"monitor": samples, **workers}
            self._history.add(self._at, scraped | dict.fromkeys(away))
            self._at += STEP

    def window(self) -> Window:
        return self._history.window(3600, until=self._at)

    def find(self, name: str, limit: float = 1.0) -> Finding:
        limits = {} if name == "autoscaling" else {name: limit}
        (found,) = [f for f in judge(self.window(), limits) if f.name == name]
        return found


@pytest.fixture
def stack() -> Stack:
    stack = Stack()
    for name in ("etcetera_reply_seconds", "etcetera_effect_seconds"):
        stack.observe(name, 1, times=0, priority="high")
    stack.observe("etcetera_web_request_seconds", 1, times=0)
    stack.add("etcetera_database_timeouts_total", 0)
    stack.add("etcetera_mentions_received_total", 0)
    stack.scrape()
    return stack


def test_every_objective_of_every_phase_is_known() -> None:
    for phase in PHASES.values():
        stated = {name for name, value in asdict(phase.objectives).items() if value is not None}
        assert stated <= set(JUDGES)


def test_without_traffic_nothing_is_called_a_success(stack: Stack) -> None:
    stack.scrape(rounds=10)
    limits = dict.fromkeys(asdict(Objectives()), 1.0)
    verdicts = {f.name: f.verdict for f in judge(stack.window(), limits)}
    assert verdicts.pop("database_connection_timeouts") is Verdict.OK
    assert verdicts.pop("concurrency_over_previous_phase") is Verdict.ELSEWHERE
    assert set(verdicts.values()) == {Verdict.NO_DATA}


@pytest.mark.parametrize(
    ("seconds", "times", "verdict"),
    [(0.4, 100, Verdict.OK), (4, 100, Verdict.MISSED), (0.4, 19, Verdict.NO_DATA)],
)
def test_a_percentile_needs_enough_to_be_judged(
    stack: Stack, seconds: float, times: int, verdict: Verdict
) -> None:
    stack.observe("etcetera_reply_seconds", seconds, times, priority="high")
    stack.scrape()
    found = stack.find("bot_p95_seconds", 3.0)
    assert (found.verdict, found.samples) == (verdict, times)
    if verdict is Verdict.NO_DATA:
        assert "scripts/load" in found.how


def test_a_late_effect_is_missed_even_when_no_reply_tells_so(stack: Stack) -> None:
    stack.observe("etcetera_effect_seconds", 4, 100, priority="low")
    stack.scrape()
    found = {f.name: f.verdict for f in judge(stack.window(), {"bot_p95_seconds": 3.0})}
    assert found == {
        "bot_effect_p95_seconds": Verdict.MISSED,
        "bot_p95_seconds": Verdict.NO_DATA,
    }


def test_the_monitors_own_visits_are_no_traffic(stack: Stack) -> None:
    stack.add("etcetera_probes_total", 0, part="site", result="up")
    stack.scrape()
    for _ in range(120):
        stack.add("etcetera_probes_total", part="site", result="up")
        stack.add("etcetera_cache_requests_total", result="miss")
        stack.observe("etcetera_web_request_seconds", 0.04)
    stack.scrape()
    assert stack.find("cache_hit_ratio", 0.8).verdict is Verdict.NO_DATA
    assert stack.find("page_p95_seconds").verdict is Verdict.NO_DATA


def test_hits_of_the_cdn_and_of_the_cache_behind_it_count_together(stack: Stack) -> None:
    stack.add("etcetera_cdn_requests_total", 900, cache="hit", status="2xx")
    stack.add("etcetera_cdn_requests_total", 100, cache="miss", status="2xx")
    stack.add("etcetera_cache_requests_total", 40, result="hit")
    stack.add("etcetera_cache_requests_total", 60, result="miss")
    stack.scrape()
    found = stack.find("cache_hit_ratio", 0.8)
    assert found.verdict is Verdict.OK
    assert found.measured == pytest.approx(0.94)


def test_a_single_timeout_is_a_miss_where_none_is_allowed(stack: Stack) -> None:
    assert stack.find("database_connection_timeouts", 0).verdict is Verdict.OK
    stack.add("etcetera_database_timeouts_total")
    stack.scrape()
    assert stack.find("database_connection_timeouts", 0).verdict is Verdict.MISSED


def mentions(stack: Stack, per_minute: int, served: float, oldest: float = 0) -> Finding:
    """Two minutes of mentions, of which a share has its effect."""
    for _ in range(24):
        arrived = per_minute * STEP / 60
        stack.add("etcetera_mentions_received_total", arrived)
        stack.observe("etcetera_effect_seconds", 0.3, round(arrived * served), priority="high")
        stack.set("etcetera_jobs_oldest_seconds", oldest, lane="effects", priority="high")
        stack.scrape()
    return stack.find("mentions_per_minute", 100)


def test_a_rate_is_reached_when_it_arrives_and_is_served(stack: Stack) -> None:
    found = mentions(stack, 120, served=1)
    assert found.verdict is Verdict.OK
    assert found.measured == pytest.approx(120, rel=0.02)


def test_a_rate_that_does_not_arrive_is_not_measured(stack: Stack) -> None:
    assert mentions(stack, 60, served=1).verdict is Verdict.NO_DATA


def test_a_rate_that_piles_up_is_missed(stack: Stack) -> None:
    assert mentions(stack, 120, served=0.5, oldest=40).verdict is Verdict.MISSED


def test_replicas_are_judged_by_the_worst_of_them(stack: Stack) -> None:
    metric = "etcetera_postgres_lag_seconds"
    for server, slow in (("a", 0), ("b", 5)):
        stack.observe(metric, 0.04, times=200, server=server)
        stack.observe(metric, 0.4, times=slow, server=server)
    stack.scrape()
    assert stack.find("replica_lag_p99_seconds", 0.1).verdict is Verdict.MISSED
    assert stack.find("replica_lag_p99_seconds", 1.0).verdict is Verdict.OK


@pytest.mark.parametrize("part", ["site", "bot"])
def test_being_up_is_the_worse_of_the_site_and_the_bot(stack: Stack, part: str) -> None:
    for each in ("site", "bot"):
        stack.add("etcetera_probes_total", 999, part=each, result="up")
    stack.scrape()
    assert stack.find("uptime_ratio", 0.999).verdict is Verdict.OK
    stack.add("etcetera_probes_total", 2, part=part, result="down")
    stack.scrape()
    found = stack.find("uptime_ratio", 0.999)
    assert found.verdict is Verdict.MISSED
    assert found.measured == pytest.approx(999 / 1001)


def wanted(stack: Stack, number: float, least: float = 1, most: float = 3) -> None:
    for kind, value in (("wanted", number), ("least", least), ("most", most)):
        stack.set("etcetera_autoscaler_workers", value, kind=kind)


def test_workers_that_follow_what_is_wanted_are_fine(stack: Stack) -> None:
    wanted(stack, 3)
    stack.add("etcetera_autoscaler_decisions_total", direction="up")
    stack.scrape(rounds=5)
    wanted(stack, 1)
    stack.scrape(rounds=2)  # two still finish what they do
    stack.scrape(away=("worker-2", "worker-3"), rounds=5)
    found = stack.find("autoscaling")
    assert found.verdict is Verdict.OK
    assert found.how.startswith("1 to 3 ran; decisions: 1 up")


def test_workers_that_stay_away_or_beyond_the_bounds_are_a_miss(stack: Stack) -> None:
    wanted(stack, 3)
    stack.scrape(away=("worker-3",), rounds=20)
    assert stack.find("autoscaling").verdict is Verdict.MISSED
    beyond = Stack()
    wanted(beyond, 3, most=2)
    beyond.scrape()
    assert beyond.find("autoscaling").verdict is Verdict.MISSED


def test_figures_without_a_limit_are_there_whatever_was_seen(stack: Stack) -> None:
    stack.add("etcetera_reads_total", 3, role="replica")
    stack.add("etcetera_reads_total", 1, role="primary")
    stack.add("etcetera_web_request_seconds_count", 2, status="503")
    stack.scrape()
    found = {figure.title: figure.value for figure in figures(stack.window())}
    assert found["Reads that replicas served"] == 0.75
    assert found["Answers with 5xx"] == 2
    assert found["CDN hits"] is None
