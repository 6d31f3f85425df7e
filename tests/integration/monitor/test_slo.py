"""Decides what `scripts/slo` prints and ends with, for each thing a monitor may say or not say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.slo import main, value
from tests.integration.monitor.kit import Target, target
from tests.servers import free_port

LIMITS = {"page_p95_seconds": 1.0, "cache_hit_ratio": 0.8}

Run = Callable[..., Result]


@pytest.fixture
def monitor() -> Iterator[Target]:
    with target() as monitor:
        yield monitor


def finding(name: str, verdict: str, measured: float | None = 0.5) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "unit": "s",
        "limit": 1.0,
        "measured": measured,
        "verdict": verdict,
        "samples": 1234,
        "how": "counted",
    }


def tells(monitor: Target, *findings: dict[str, Any], watched: float = 600) -> None:
    figures = [
        {"title": "Reply, high, p95", "unit": "s", "value": 0.25},
        {"title": "Dead letters", "unit": "", "value": 0},
    ]
    body = {"watched_seconds": watched, "objectives": findings, "figures": figures}
    monitor.says("/slo?window=600.0", json.dumps(body))


def outputs(monitor: str, slo: dict[str, float] = LIMITS) -> str:
    return json.dumps(
        {"phase": 1, "slo": slo, "endpoints": {"metrics": {"monitor": f"{monitor}/metrics"}}}
    )


def run(stdin: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["phase1", *options], input=stdin)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("ok", "ok", 0),
        ("ok", "elsewhere", 0),
        ("ok", "missed", 1),
        ("no data", "missed", 1),
        ("no data", "ok", 2),
    ],
)
def test_the_exit_code_is_the_worst_that_is_known(
    monitor: Target, first: str, second: str, code: int
) -> None:
    tells(monitor, finding("page_p95_seconds", first), finding("cache_hit_ratio", second))
    done = run(outputs(monitor.url))
    assert done.exit_code == code
    for shown in (first, second, "500 ms", "1,234", "Reply, high", "250 ms", "Dead letters: 0"):
        assert shown in done.output


def test_an_objective_that_the_monitor_leaves_out_is_not_reached(monitor: Target) -> None:
    tells(monitor, finding("page_p95_seconds", "ok"))
    assert run(outputs(monitor.url)).exit_code == 2


def test_json_is_what_the_monitor_says(monitor: Target) -> None:
    tells(monitor, finding("page_p95_seconds", "ok"), finding("cache_hit_ratio", "ok"))
    done = run(outputs(monitor.url), "--json", "--window", "10m")
    assert json.loads(done.output)["objectives"][0]["name"] == "page_p95_seconds"


def test_whoever_waits_is_answered_when_a_window_was_watched(
    monitor: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells(monitor, finding("page_p95_seconds", "no data"), watched=5)
    monkeypatch.setattr(
        "infra.slo.time.sleep", lambda _: tells(monitor, finding("page_p95_seconds", "ok"))
    )
    assert run(outputs(monitor.url, {"page_p95_seconds": 1.0}), "--wait").exit_code == 0


def test_without_a_monitor_it_says_what_to_do() -> None:
    done = run(outputs(f"http://127.0.0.1:{free_port()}"))
    assert (done.exit_code, "scripts/up phase1" in done.output) == (2, True)
    done = run(outputs("", {}))
    assert (done.exit_code, "no objectives" in done.output) == (2, True)
    down = json.dumps({"phase": 1, "slo": LIMITS, "endpoints": {"metrics": {"monitor": None}}})
    assert "scripts/up phase1" in run(down).output


def test_a_window_is_written_as_people_do(monitor: Target) -> None:
    assert "no duration" in run(outputs(monitor.url), "--window", "soon").output


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0.0123, "s", "12 ms"),
        (3, "s", "3.00 s"),
        (0.9991, "%", "99.91 %"),
        (1234, "/min", "1,234 /min"),
    ],
)
def test_figures_are_written_as_people_do(number: float, unit: str, text: str) -> None:
    assert value(number, unit) == text
