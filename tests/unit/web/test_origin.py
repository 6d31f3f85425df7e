"""Decides who is answered at the address that the CDN asks, and what no proxy passes on."""

import pytest

from app.web.origin import HEADER
from tests.unit.web.conftest import site

SECRET = "only the CDN knows these 32 bytes"
PROXIED = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}


@pytest.mark.parametrize("given", [{}, {HEADER: ""}, {HEADER: SECRET[:-1]}, {HEADER: SECRET + "x"}])
@pytest.mark.parametrize("path", ["/how-it-works", "/api/v1/objects", "/static/x/site.css", "/no"])
def test_who_does_not_know_the_secret_is_refused(given: dict[str, str], path: str) -> None:
    answer = site(origin_secret=SECRET).test_client().get(path, headers=given)
    assert answer.status_code == 403
    assert answer.headers["Cache-Control"] == "no-store"
    assert SECRET not in answer.text


def test_the_cdn_is_answered() -> None:
    client = site(origin_secret=SECRET).test_client()
    assert client.get("/how-it-works", headers={HEADER: SECRET}).status_code == 200
    assert client.get("/no", headers={HEADER: SECRET}).status_code == 404


def test_without_a_secret_everybody_is_answered() -> None:
    assert site().test_client().get("/how-it-works").status_code == 200


def test_probes_need_no_secret() -> None:
    client = site(origin_secret=SECRET).test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503  # the database is lost, and that is told


def test_metrics_are_read_beside_the_proxies_and_not_through_them() -> None:
    client = site(origin_secret=SECRET, trusted_proxies=2).test_client()
    assert client.get("/metrics").status_code == 200
    for headers in (PROXIED, PROXIED | {HEADER: SECRET}):
        assert client.get("/metrics", headers=headers).status_code == 404


def test_behind_two_proxies_the_visitor_is_who_asked_the_first() -> None:
    app = site(trusted_proxies=2)
    seen: list[tuple[str | None, str, str]] = []

    @app.before_request
    def _look() -> None:
        from flask import request

        seen.append((request.remote_addr, request.scheme, request.host))

    claimed = {"X-Forwarded-For": "1.2.3.4, 203.0.113.9, 198.51.100.1"}
    how = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "origin.etcetera.example"}
    app.test_client().get("/how-it-works", headers=claimed | how)
    assert seen == [("203.0.113.9", "https", "origin.etcetera.example")]
