"""Decides what the status page and its JSON show of what the monitor measured, and how little it
costs however many look. How charts are drawn is decided by tests/unit/web, that they move without
a reload by tests/browser."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.integration.web.world import World

HISTORY = "/api/v1/status/history"


def test_without_a_monitor_the_page_says_what_the_database_knows(client: FlaskClient) -> None:
    page = client.get("/status").text
    assert "The last hour" not in page
    assert "Write points" in page
    assert client.get(HISTORY).get_json()["charts"] == []


def test_charts_say_the_same_in_a_table(client: FlaskClient, world: World) -> None:
    world.measure(
        *((ago, "depth", "high", 12.0) for ago in (1, 11)),
        (900, "depth", "high", 340.0),
        (1, "depth", "low", 3.0),
        (1, "hits", "cdn", 0.87),
        (1, "lag", "server 2", 0.004),
    )
    page = client.get("/status").text
    assert page.count('class="line line-0" d="M') >= 3
    rows = dict(re.findall(r"</svg> ([^<]+)</th>(<td>.*?)</tr>", page))
    assert rows["Claims"] == "<td>12</td><td>340</td>"
    assert rows["Help and inventories"] == "<td>3</td><td>3</td>"
    assert rows["Pages, from the CDN"] == "<td>87 %</td><td>87 %</td>"
    assert rows["server 2"] == "<td>4 ms</td><td>4 ms</td>"
    assert "Gifts and answers" not in rows


def test_points_left_are_told_for_each_account(client: FlaskClient, world: World) -> None:
    world.measure((1, "points", "etcetera.test", 4200), (1, "points", "second.test", 90))
    page = client.get("/status").text
    assert "Left to each account" in page
    assert re.search(r"second\.test</th><td>90</td>", page)


def test_a_peak_shows_however_far_one_looks_back(client: FlaskClient, world: World) -> None:
    calm = [(ago, "oldest", "high", 0.1) for ago in range(5, 3600, 10)]
    world.measure(*calm, (1801, "oldest", "high", 42.0), (3 * 3600, "oldest", "high", 77.0))
    for hours, highest in ((1, 42.0), (24, 77.0)):
        (chart,) = client.get(f"{HISTORY}?hours={hours}").get_json()["charts"]
        (line,) = chart["lines"]
        assert len(line["values"]) == 120
        assert max(value or 0 for value in line["values"]) == highest


def test_a_share_is_a_mean(client: FlaskClient, world: World) -> None:
    world.measure((1, "hits", "cache", 0.5), (2, "hits", "cache", 1.0))
    body = client.get(HISTORY).get_json()
    assert body["charts"][0]["lines"][0]["values"][-1] == pytest.approx(0.75)
    assert body["charts"][0]["lines"][0]["values"][0] is None
    assert body["step_seconds"] == 30


@pytest.mark.parametrize("hours", ["0", "25", "x"])
def test_a_history_that_is_not_kept_is_refused(client: FlaskClient, hours: str) -> None:
    assert client.get(f"{HISTORY}?hours={hours}").status_code == 400


@pytest.mark.parametrize("path", ["/status", "/api/v1/status", HISTORY])
def test_a_shared_cache_answers_all_who_look_within_a_few_seconds(
    client: FlaskClient, path: str
) -> None:
    policy = client.get(path).headers["Cache-Control"]
    shared = re.search(r"s-maxage=(\d+)", policy)
    assert shared is not None
    assert 2 <= int(shared[1]) <= 5
    assert "public" in policy


def test_what_moves_is_marked_for_the_script(client: FlaskClient, world: World) -> None:
    world.measure((1, "workers", "running", 3))
    names = re.findall(r'data-fresh="([\w-]+)"', client.get("/status").text)
    assert {"health", "tally", "chart-workers", "queue"} <= set(names)
    assert len(names) == len(set(names))
