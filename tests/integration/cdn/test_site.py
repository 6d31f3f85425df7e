"""Decides what visitors get of the real site through CDN and edge: as fresh as promised, under
their own address, and never what was meant for somebody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

import httpx
import pytest
from werkzeug.serving import make_server

from app.cache import Cache
from app.db import Database
from app.settings import Settings
from app.web import create_app, drawn, pages
from app.web.throttle import LIMITS
from components import nginx
from components.edge import local as edge
from tests.integration.cdn.conftest import Cdn, cdn_before, eventually
from tests.integration.web.world import World
from tests.servers import nginx_server

pytestmark = pytest.mark.integration

PASSWORD = "a-password-for-tests"
OPERATOR = "/operator/dead-letters"


@dataclass
class Site:
    cdn: Cdn
    edge: str
    world: World


@pytest.fixture
def make_site(
    make_settings: Callable[..., Settings], database: Database, redis_url: str
) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def make(**changes: object) -> Site:
            settings = make_settings(
                phase=1,
                redis_url=redis_url,
                trusted_proxies=1,
                operator_password=PASSWORD,
                **changes,
            )
            cache = Cache.open(settings)
            stack.callback(cache.close)
            app = make_server("127.0.0.1", 0, create_app(settings, database, cache), threaded=True)
            threading.Thread(target=app.serve_forever, daemon=True).start()
            stack.callback(app.server_close)
            stack.callback(app.shutdown)
            upstream = f"127.0.0.1:{app.server_port}"
            before = stack.enter_context(
                nginx_server(
                    lambda port: edge.configuration(upstream, port, behind_cdn=True),
                    {"pages/unavailable.html": nginx.UNAVAILABLE},
                )
            )
            cdn = stack.enter_context(cdn_before(f"127.0.0.1:{before.port}"))
            return Site(cdn, before.url, World(database, cache))

        yield make


def test_in_a_surge_a_claim_shows_soon_and_the_site_is_asked_seldom(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    # By itself the page would not end while we wait.
    monkeypatch.setattr(pages, "HOME_PAGE", drawn.kind("home", seconds=600))
    site = make_site(rate_limits="off")
    otto = site.world.person("otto.test")
    for path in ("/", "/@otto.test"):
        site.cdn.get(path)
    over = threading.Event()

    def surge(_: int) -> int:
        for number in count():
            if over.is_set():
                return number
            assert site.cdn.get("/").status_code == 200
        return 0

    with ThreadPoolExecutor(4) as visitors:
        views = [visitors.submit(surge, number) for number in range(4)]
        try:
            time.sleep(0.5)
            thing = site.world.claim(otto)
            assert eventually(lambda: str(thing.id) in site.cdn.get("/").text)
            time.sleep(1)
        finally:
            over.set()
        seen = sum(view.result() for view in views)
    counted = site.cdn.metrics()
    asked = sum(
        value
        for name, value in counted.items()
        if name.startswith("etcetera_cdn_requests_total/")
        and name.split("/")[1] not in ("hit", "updating")
    )
    assert asked < max(20, seen / 2)
    assert site.cdn.get("/@otto.test").status_code == 200


def test_the_limits_count_the_visitor_whatever_he_claims(make_site: Callable[..., Site]) -> None:
    site = make_site()
    most = int(LIMITS["search"].split()[0])
    statuses = []
    for number in range(2 * most + 1):
        claims = {"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}"}
        cookie = {"Cookie": "a=b"} if number % 2 else {}
        statuses.append(site.cdn.get(f"/search?q=word{number}", **claims, **cookie).status_code)
    assert 429 in statuses
    # A refusal is its visitor's alone: what is kept is not replaced by it, and others are heard.
    assert site.cdn.get("/search?q=word0").status_code == 200
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as neighbour:
        assert neighbour.get(f"{site.cdn.server.url}/search?q=another").status_code == 200


def test_what_is_kept_for_a_second_ends_with_the_second(make_site: Callable[..., Site]) -> None:
    site = make_site(rate_limits="off")
    before = int(time.time())
    ends = httpx.get(f"{site.edge}/").headers["X-Accel-Expires"]
    assert before <= int(ends.removeprefix("@")) <= time.time()
    assert "X-Accel-Expires" not in httpx.get(f"{site.edge}/how-it-works").headers
    assert "X-Accel-Expires" not in site.cdn.get("/").headers


def test_operators_pages_pass_and_stay_with_the_operator(make_site: Callable[..., Site]) -> None:
    site = make_site(rate_limits="off")
    auth = {"Authorization": "Basic b3BlcmF0b3I6YS1wYXNzd29yZC1mb3ItdGVzdHM="}
    for _ in range(2):
        mine = site.cdn.get(OPERATOR, **auth)
        assert (mine.status_code, mine.headers["X-Cache"]) == (200, "bypass")
        assert "no-store" in mine.headers["Cache-Control"]
        assert site.cdn.get(OPERATOR).status_code == 401
    kept = [path for path in (site.cdn.server.folder / "cache").rglob("*") if path.is_file()]
    assert kept == []


def test_who_left_is_not_shown_again_when_the_site_is_lost(make_site: Callable[..., Site]) -> None:
    site = make_site(rate_limits="off")
    otto = site.world.person("otto.test", "Otto")
    assert "Otto" in site.cdn.get("/@otto.test").text
    site.world.leave(otto)
    assert eventually(lambda: site.cdn.get("/@otto.test").status_code == 404)
    (kept,) = [path for path in (site.cdn.server.folder / "cache").rglob("*") if path.is_file()]
    assert b"HTTP/1.1 404" in kept.read_bytes()


def test_a_failure_is_told_under_the_id_that_the_visitor_has(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(rate_limits="off")
    answer = site.cdn.get("/api/v1/users/nobody.test")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_what_was_compressed_once_is_sent_to_many(make_site: Callable[..., Site]) -> None:
    site = make_site(rate_limits="off")
    pages = [site.cdn.get("/how-it-works", Accept_Encoding="gzip") for _ in range(2)]
    assert [page.headers["X-Cache"] for page in pages] == ["miss", "hit"]
    assert {page.headers["Content-Encoding"] for page in pages} == {"gzip"}
    had = pages[1].headers["ETag"]
    again = site.cdn.get("/how-it-works", Accept_Encoding="gzip", If_None_Match=had)
    assert (again.status_code, again.headers["X-Cache"]) == (304, "hit")
