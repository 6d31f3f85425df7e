"""Decides, route by route, who may keep an answer. A route that is not classified here fails: a
cache in front of the site would hand what it keeps to everybody."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from app.db import Database
from app.settings import Settings
from app.web import create_app, http
from app.web.assets import IMMUTABLE
from app.web.pictures import address
from tests.integration.web.test_operator import PASSWORD, bury
from tests.integration.web.world import World

pytestmark = pytest.mark.integration

DAILY = "public, max-age=86400"
CLASSES = {
    http.PAGE: {
        "pages.home",
        "pages.objects",
        "pages.show_object",
        "pages.show_person",
        "pages.show_user",
        "pages.leaderboard",
        "pages.search",
        "api.list_objects",
        "api.get_object",
        "api.list_users",
        "api.get_user",
        "api.list_user_objects",
        "api.list_claims_today",
        "api.get_leaderboard",
        "api.search",
        "api.get_stats",
        "api.get_live",
    },
    http.LIVE: {"status.page", "api.get_status", "api.get_history"},
    http.SLOW_PAGE: {"pages.how_it_works", "pages.sitemap", "docs.people", "docs.openapi"},
    DAILY: {"assets.favicon", "assets.robots"},
    IMMUTABLE: {"assets.file", "pictures.svg", "pictures.png"},
    http.NOT_KEPT: {"ops.healthz", "ops.readyz", "ops.metrics"},
    http.PRIVATE: {"operator.letters", "operator.letter"},
}
POLICIES = {endpoint: policy for policy, endpoints in CLASSES.items() for endpoint in endpoints}


@dataclass
class Whole:
    """A site with something to show at each address."""

    app: Flask
    addresses: dict[str, str]
    """By endpoint."""


@pytest.fixture
def whole(make_settings: Callable[..., Settings], database: Database, world: World) -> Whole:
    app = create_app(make_settings(operator_password=PASSWORD, rate_limits="off"), database)
    otto = world.person("otto.test", "Otto")
    client = app.test_client()
    stylesheet = re.search(r"/static/(\w+)/site\.css", client.get("/how-it-works").text)
    assert stylesheet
    object_id = world.claim(otto).id
    values: dict[str, Any] = {
        "object_id": object_id,
        "id": object_id,
        "handle": otto.handle,
        "name": otto.handle,
        "id_": bury(database, "a"),
    }
    addresses = {}
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "GET" in (rule.methods or ()):
                chosen = {name: values.get(name) for name in rule.arguments}
                if rule.endpoint == "assets.file":
                    chosen = {"version": stylesheet[1], "name": "site.css"}
                addresses[rule.endpoint] = app.url_for(rule.endpoint, **chosen)
    addresses["api.search"] += "?q=o"
    for form in ("svg", "png"):
        addresses[f"pictures.{form}"] = address(object_id, form)
    return Whole(app, addresses)


def test_every_route_that_can_be_read_says_who_may_keep_it(whole: Whole) -> None:
    assert set(whole.addresses) == set(POLICIES), "classify the new route"
    client = whole.app.test_client()
    for endpoint, path in whole.addresses.items():
        answer = client.get(path, auth=("operator", PASSWORD))
        assert answer.status_code == 200, path
        assert answer.headers["Cache-Control"] == POLICIES[endpoint], path


def test_what_is_public_is_the_same_for_everybody(whole: Whole) -> None:
    client = whole.app.test_client()
    for endpoint, path in whole.addresses.items():
        if not POLICIES[endpoint].startswith("public"):
            continue
        answer = client.get(
            path,
            base_url="http://m4rker.example",
            headers={
                "Cookie": "session=m4rker",
                "Authorization": "Bearer m4rker",
                "User-Agent": "m4rker",
                "Referer": "http://m4rker.example/",
                "Accept-Language": "m4rker",
                "X-Forwarded-Host": "m4rker.example",
                "X-Request-Id": "m4rker-m4rker",
            },
        )
        assert answer.status_code == 200
        assert b"m4rker" not in answer.data, path
        assert "Set-Cookie" not in answer.headers
        assert "Vary" not in answer.headers


def test_what_shared_caches_keep_they_may_show_while_they_ask_again() -> None:
    for policy in (http.PAGE, http.LIVE, http.SLOW_PAGE):
        assert re.search(r"s-maxage=\d+, stale-while-revalidate=\d+", policy)


def test_no_refusal_and_no_failure_of_the_operators_is_kept(whole: Whole) -> None:
    client = whole.app.test_client()
    letter = whole.addresses["operator.letter"]
    for answer, status in (
        (client.get(letter), 401),
        (client.post(f"{letter}/drop"), 401),
        (client.post(f"{letter}/drop", auth=("operator", PASSWORD)), 403),
        (client.get(f"{letter}999", auth=("operator", PASSWORD)), 404),
    ):
        assert (answer.status_code, answer.headers["Cache-Control"]) == (status, http.PRIVATE)
    for answer in (client.post("/"), client.options("/")):
        assert answer.headers["Cache-Control"] == http.NOT_KEPT


def test_what_says_nothing_about_caching_is_not_kept(
    make_settings: Callable[..., Settings], database: Database
) -> None:
    app = create_app(make_settings(), database)
    app.add_url_rule("/forgotten", "forgotten", lambda: "somebody's")
    assert app.test_client().get("/forgotten").headers["Cache-Control"] == http.NOT_KEPT
