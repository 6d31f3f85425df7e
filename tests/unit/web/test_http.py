"""Decides headers, errors and limits, which are the same whatever the database says."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.web.throttle import LIMITS, storage
from tests.unit.web.conftest import site

PROBLEM = "application/problem+json"


def get(client: FlaskClient, path: str, **options: Any) -> TestResponse:
    return client.get(path, **options)


def test_a_lost_database_is_said_plainly_and_asked_again(client: FlaskClient) -> None:
    page, answer = get(client, "/"), get(client, "/api/v1/live")
    assert page.status_code == answer.status_code == 503
    assert page.headers["Retry-After"] == answer.headers["Retry-After"] == "5"
    assert page.headers["Cache-Control"] == "no-store"
    assert "locked for a moment" in page.text
    assert answer.mimetype == PROBLEM
    assert answer.get_json()["status"] == 503


def test_the_process_is_healthy_without_its_database_but_not_ready(client: FlaskClient) -> None:
    assert get(client, "/healthz").status_code == 200
    ready = get(client, "/readyz")
    assert ready.status_code == 503
    assert ready.get_json() == {"status": "down", "database": "lost"}


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/objects/1",
        "/objects/not-a-uuid",
        "/objects/%00",
        "/objects/6f1f9a52-63a3-7d3c-8f5e-000000000001'--",
        "/@",
        "/@%00",
        "/@.",
        "/@handle.invalid",
        "/@<script>alert(1)</script>",
        "/@a'; DROP TABLE users; --",
        "/@" + "a" * 5000,
        "/users/did:plc:a'b",
        "/users/did:plc:%ff%fe",
        "/static/x/../../settings.py",
        "/static/x/%2e%2e/http.py",
        "/wp-login.php",
    ],
)
def test_what_cannot_exist_is_not_found_without_asking_the_database(
    client: FlaskClient, path: str
) -> None:
    response = get(client, path)
    assert response.status_code == 404
    assert "<script>alert" not in response.text


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/api/v1/objects?cursor=nonsense", "cursor"),
        ("/api/v1/objects?limit=0", "limit"),
        ("/api/v1/objects?limit=101", "limit"),
        ("/api/v1/objects?limit=1e9", "limit"),
        ("/api/v1/objects?rarity=golden", "rarity"),
        ("/api/v1/users?cursor=otto", "cursor"),
        ("/api/v1/search", "q"),
        ("/api/v1/search?q=", "q"),
        ("/api/v1/search?q=%00", "q"),
        ("/api/v1/search?q=" + "a" * 10_000, "q"),
    ],
)
def test_wrong_parameters_are_named(client: FlaskClient, path: str, parameter: str) -> None:
    response = get(client, path)
    assert response.status_code == 400
    assert response.mimetype == PROBLEM
    assert [error["parameter"] for error in response.get_json()["errors"]] == [parameter]


def test_a_page_refuses_a_cursor_it_did_not_give_out(client: FlaskClient) -> None:
    assert get(client, "/objects?cursor=x").status_code == 400


@pytest.mark.parametrize("path", ["/nothing", "/objects?cursor=x", "/api/v1/objects?limit=0"])
def test_what_is_not_there_takes_the_place_of_what_was(client: FlaskClient, path: str) -> None:
    # A cache that may not keep the refusal would show the old page again when nobody answers.
    assert get(client, path).headers["Cache-Control"].startswith("public, max-age=0, s-maxage=1,")


def test_an_unknown_address_of_the_api_is_a_problem_document(client: FlaskClient) -> None:
    response = get(client, "/api/v1/nothing", headers={"X-Request-Id": "abcdef-123456"})
    assert response.status_code == 404
    problem = response.get_json()
    assert problem["type"] == "about:blank"
    assert problem["instance"] == "/api/v1/nothing"
    assert problem["request_id"] == response.headers["X-Request-Id"] == "abcdef-123456"


def test_a_request_id_that_is_none_is_replaced(client: FlaskClient) -> None:
    given = "x\ty"
    assert get(client, "/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"] != given


def test_only_reading_is_allowed(client: FlaskClient) -> None:
    response = client.post("/api/v1/live")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/how-it-works", "/api", "/nothing", "/healthz", "/openapi.json"])
def test_every_answer_is_guarded(client: FlaskClient, path: str) -> None:
    headers = get(client, path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert "Set-Cookie" not in headers


def test_pages_carry_nothing_inline(client: FlaskClient) -> None:
    page = get(client, "/how-it-works").text
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count('<script src="/static/')
    assert " on" + "click=" not in page


def test_a_page_that_did_not_change_is_not_sent_again(client: FlaskClient) -> None:
    first = get(client, "/how-it-works")
    assert first.headers["Cache-Control"].startswith("public")
    again = get(client, "/how-it-works", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


def test_static_files_of_this_version_may_be_kept_for_ever(client: FlaskClient) -> None:
    page = get(client, "/how-it-works").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    response = get(client, address)
    assert response.mimetype == "text/css"
    assert response.headers["Cache-Control"].endswith("immutable")
    version = address.split("/")[2]
    other = get(client, address.replace(version, "0ld"))
    assert other.status_code == 200
    assert "immutable" not in other.headers["Cache-Control"]


def test_robots_and_favicon_are_there(client: FlaskClient) -> None:
    assert "Sitemap: https://etcetera.example/sitemap.xml" in get(client, "/robots.txt").text
    assert get(client, "/favicon.ico").mimetype == "image/svg+xml"


def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    client = site().test_client()
    most = int(LIMITS["search"].split()[0])
    statuses = [get(client, "/api/v1/search?q=").status_code for _ in range(2 * most + 1)]
    assert statuses[:most] == [400] * most
    refused = get(client, "/api/v1/search?q=")
    if refused.status_code != 429:  # the minute ended in between
        assert statuses[-1] == 429 or statuses.count(429)
        return
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.mimetype == PROBLEM
    assert get(client, "/search?q=").status_code == 429
    assert "One at a time" in get(client, "/search?q=").text
    for path in ("/healthz", "/how-it-works", "/api/v1/live"):
        assert get(client, path).status_code != 429
    neighbour = {"REMOTE_ADDR": "192.0.2.7"}
    assert get(client, "/search", environ_overrides=neighbour).status_code == 200


def test_a_household_with_ipv6_counts_as_one() -> None:
    client = site().test_client()
    most = int(LIMITS["search"].split()[0])
    for index in range(2 * most + 1):
        home = {"REMOTE_ADDR": f"2001:db8::{index:x}"}
        last = get(client, "/search", environ_overrides=home)
    assert last.status_code == 429
    other = {"REMOTE_ADDR": "2001:db8:0:1::1"}
    assert get(client, "/search", environ_overrides=other).status_code == 200


def test_limits_can_be_switched_off_for_a_benchmark() -> None:
    client = site(rate_limits="off").test_client()
    assert {get(client, "/search").status_code for _ in range(150)} == {200}


def test_behind_a_proxy_the_visitor_counts_and_not_the_proxy() -> None:
    client = site(trusted_proxies=1).test_client()
    most = int(LIMITS["search"].split()[0])
    for _ in range(2 * most + 1):
        last = get(client, "/search", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.1"})
    assert last.status_code == 429
    # Only the last entry was written by the proxy: what comes before is the visitor's own claim.
    same = get(client, "/search", headers={"X-Forwarded-For": "1.2.3.4, 198.51.100.1"})
    other = get(client, "/search", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.2"})
    assert (same.status_code, other.status_code) == (429, 200)


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        (None, "memory://"),
        ("redis://:pw@cache:6379/0", "redis://:pw@cache:6379/0"),
        ("rediss://:pw@cache:6380", "rediss://:pw@cache:6380"),
        ("rediss://:pw@cache:6379/0?cluster=true", "redis+cluster://:pw@cache:6379"),
        ("redis://:pw@a:1,b:2/0?cluster=true", "redis+cluster://:pw@a:1,b:2"),
    ],
)
def test_requests_are_counted_where_redis_is(url: str | None, uri: str) -> None:
    assert storage(url)[0] == uri


@pytest.mark.parametrize("query", ["", "?cluster=true"])
def test_the_site_starts_while_redis_is_away(query: str) -> None:
    app = site(phase=1, redis_url=f"redis://127.0.0.1:1/0{query}")
    client = app.test_client()
    assert get(client, "/how-it-works").status_code == 200
    assert get(client, "/readyz").get_json()["redis"] == "lost"
