"""Decides what the status page and its JSON show of what the monitor measured, and how little it
costs however many look. How charts are drawn is decided by tests/unit/web, that they move without
a reload by tests/browser."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from app.clock import utcnow
from app.db import Database
from app.repository import budget, sessions
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


def test_points_are_told_for_each_account_also_for_one_that_has_written_nothing(
    client: FlaskClient, database: Database
) -> None:
    minute = utcnow().replace(second=0, microsecond=0)
    with database.transaction() as tx:
        budget.spend(tx.conn, "etcetera.test", minute, 4_200)
        budget.spend(tx.conn, "etcetera.test", minute - timedelta(hours=3), 1_000)
        sessions.put(tx.conn, "courier.test", b"encrypted")
    page = client.get("/status").text
    assert "4 200 of 5 000, 800 left" in words(page)
    assert "5 200 of 35 000, 29 800 left" in words(page)
    assert "0 of 5 000, 5 000 left" in words(page)
    assert page.index("@courier.test") < page.index("@etcetera.test</h3>")
    body = client.get("/api/v1/status").get_json()
    assert body["points_of_accounts"] == [
        {"handle": "courier.test", "hour": 0, "day": 0},
        {"handle": "etcetera.test", "hour": 4_200, "day": 5_200},
    ]


def test_one_account_has_two_gauges_and_no_heading(client: FlaskClient) -> None:
    page = client.get("/status").text
    assert page.count("<meter") == 2
    assert "<h3>@" not in page


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


def words(page: str) -> str:
    """With plain spaces, as numbers are grouped with narrow ones."""
    return re.sub(r"[\u202f\u00a0]", " ", page)
