"""Decides that a page kept as it was drawn is the page that would be drawn now: of this address,
this release and this moment, and that only pages are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import redis
from flask import Flask, template_rendered
from flask.testing import FlaskClient

from app.cache import Cache
from app.clock import utcnow
from app.db import Database
from app.settings import Settings
from app.web import create_app, drawn, pages
from app.web.reads import WORLD_SECONDS
from tests.integration.web.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database: Database, cache: Cache) -> World:
    return World(database, cache)


@contextmanager
def drawing(app: Flask) -> Iterator[list[str]]:
    """The templates that are rendered meanwhile."""
    names: list[str] = []

    def note(_: Flask, template: object, **__: object) -> None:
        names.append(str(getattr(template, "name", "")))

    with template_rendered.connected_to(note, app):
        yield names


def lookups(client: FlaskClient) -> dict[str, float]:
    """Counted so far, by region and result as Prometheus writes them."""
    lines = client.get("/metrics").text.splitlines()
    start = "etcetera_cache_requests_total"
    counted = (line.removeprefix(start).split() for line in lines if line.startswith(start))
    return {labels: float(value) for labels, value in counted}


def keys(redis_url: str) -> list[str]:
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    return [str(key) for key in client.scan_iter("ee:*_page:*")]


def test_a_page_is_drawn_once_for_all_who_look(cached_client: FlaskClient, world: World) -> None:
    thing = world.claim(world.person("otto.test"))
    for path in ("/", "/objects", f"/objects/{thing.id}", "/@otto.test", "/leaderboard"):
        with drawing(cached_client.application) as templates:
            first, *others = [cached_client.get(path) for _ in range(4)]
        assert len(templates) == 1, path
        for other in others:
            assert other.data == first.data
            assert other.headers["ETag"] == first.headers["ETag"]
            assert other.headers["X-Request-Id"] != first.headers["X-Request-Id"]
            assert "default-src 'none'" in other.headers["Content-Security-Policy"]
            assert other.headers["Cache-Control"] == first.headers["Cache-Control"]


def test_a_kept_page_is_the_page_without_a_cache(
    cached_client: FlaskClient, client: FlaskClient, world: World
) -> None:
    otto, wren = world.person("otto.test"), world.person("wren.test")
    thing = world.claim(otto)
    world.offer(otto, wren, thing)
    for path in ("/objects", f"/objects/{thing.id}", "/@otto.test", "/@wren.test", "/search?q=o"):
        cached_client.get(path)
        kept, plain = cached_client.get(path), client.get(path)
        assert kept.data == plain.data, path
        assert kept.headers["ETag"] == plain.headers["ETag"], path
        assert kept.content_type == plain.content_type == "text/html; charset=utf-8"


def test_who_has_the_page_is_told_so_without_drawing_it(
    cached_client: FlaskClient, world: World
) -> None:
    otto, wren = world.person("otto.test"), world.person("wren.test")
    thing = world.claim(otto)
    path = f"/objects/{thing.id}"
    had = {"If-None-Match": cached_client.get(path).headers["ETag"]}
    with drawing(cached_client.application) as templates:
        again = cached_client.get(path, headers=had)
    assert (again.status_code, again.data, templates) == (304, b"", [])
    world.offer(otto, wren, thing)
    assert cached_client.get(path, headers=had).status_code == 200


def test_head_tells_what_get_would(cached_client: FlaskClient, world: World) -> None:
    world.claim(world.person("otto.test"))
    head = cached_client.head("/@otto.test")
    get = cached_client.get("/@otto.test")
    assert (head.status_code, head.data) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


def test_what_happens_to_an_object_is_on_its_pages_at_once(
    cached_client: FlaskClient, world: World
) -> None:
    otto, wren = world.person("otto.test"), world.person("wren.test")
    thing = world.claim(otto)
    shown = (f"/objects/{thing.id}", "/@otto.test", "/@wren.test")

    def texts() -> list[str]:
        return [cached_client.get(path).text for path in shown]

    assert not any("@wren.test" in text for text in texts()[:2])
    gift = world.offer(otto, wren, thing)
    of_object, of_otto, of_wren = texts()
    assert "A gift on its way" in of_object
    assert "Offered" in of_otto
    assert "Waiting for an answer" in of_wren
    world.accept(wren, gift)
    of_object, of_otto, of_wren = texts()
    assert "gave it to" in of_object
    assert thing.name not in of_otto
    assert thing.name in of_wren


def test_an_offer_leaves_the_pages_when_it_runs_out(
    cached_client: FlaskClient, world: World
) -> None:
    otto, wren = world.person("otto.test"), world.person("wren.test")
    thing = world.claim(otto)
    made = utcnow() - timedelta(days=7) + timedelta(seconds=8)
    world.offer(otto, wren, thing, made)
    shown = (f"/objects/{thing.id}", "/@otto.test", "/@wren.test")
    for path in shown:
        assert "until <time" in cached_client.get(path).text, path
    time.sleep((made + timedelta(days=7) - utcnow()).total_seconds() + 0.1)
    for path in shown:
        assert "until <time" not in cached_client.get(path).text, path


def test_everybody_has_a_page_of_their_own(cached_client: FlaskClient, world: World) -> None:
    otto, wren = world.person("otto.test", "Otto"), world.person("wren.test", "Wren")
    for _ in range(2):
        for path, name in (
            ("/@otto.test", "Otto"),
            ("/@wren.test", "Wren"),
            (f"/users/{otto.did}", "Otto"),
            (f"/users/{wren.did}", "Wren"),
            ("/@OTTO.TEST", "Otto"),
        ):
            page = cached_client.get(path).text
            assert f"<bdi>{name}</bdi>" in page
            assert f'rel="canonical" href="http://127.0.0.1:8080/@{name.lower()}.test"' in page


def test_the_same_address_spelt_otherwise_has_one_canonical_page(
    cached_client: FlaskClient, world: World
) -> None:
    thing = world.claim(world.person("otto.test"))
    shouted = cached_client.get(f"/objects/{str(thing.id).upper()}").text
    assert f'rel="canonical" href="http://127.0.0.1:8080/objects/{thing.id}"' in shouted
    assert shouted == cached_client.get(f"/objects/{thing.id}").text


def test_another_query_is_another_page_if_the_page_knows_it(
    cached_client: FlaskClient, world: World, redis_url: str
) -> None:
    otto = world.person("otto.test")
    things = [world.claim(otto, utcnow() - timedelta(days=back)) for back in range(26)]
    one = things[0]
    first = cached_client.get("/objects").text
    filtered = cached_client.get(f"/objects?rarity={one.rarity}&category={one.category}").text
    other = cached_client.get(f"/objects?category={one.category}").text
    assert len({first, filtered, other}) == 3
    older = first.split('rel="next" href="')[1].split('"')[0]
    assert str(things[-1].id) in cached_client.get(older).text
    for query in ("teapot", "tea pot", "Teapot"):
        assert f'value="{query}"' in cached_client.get("/search", query_string={"q": query}).text
    before = keys(redis_url)
    for path in ("/objects?utm=1", "/objects?rarity=&cursor=", "/?a=b", "/?a=c", "/search?x=1"):
        cached_client.get(path)
    assert cached_client.get("/objects?utm=1").text == first
    assert len(keys(redis_url)) - len(before) == 2  # home, and the empty search


def test_errors_and_the_status_page_are_not_kept(
    cached_client: FlaskClient, world: World, redis_url: str
) -> None:
    for path, status in (
        ("/@nobody.test", 404),
        ("/users/did:plc:nobody", 404),
        ("/objects/6f1f9a52-63a3-7d3c-8f5e-000000000001", 404),
        ("/objects?rarity=golden", 404),
        ("/objects?cursor=x", 400),
        ("/nothing", 404),
        ("/status", 200),
    ):
        with drawing(cached_client.application) as templates:
            for _ in range(2):
                assert cached_client.get(path).status_code == status, path
        assert len(templates) == 2, path
    assert keys(redis_url) == []
    world.person("nobody.test")
    assert cached_client.get("/@nobody.test").status_code == 200


def test_who_left_has_no_page_any_more(cached_client: FlaskClient, world: World) -> None:
    otto = world.person("otto.test")
    assert cached_client.get("/@otto.test").status_code == 200
    world.leave(otto)
    for path in ("/@otto.test", f"/users/{otto.did}"):
        assert cached_client.get(path).status_code == 404


def test_what_people_search_for_cannot_fill_redis(
    cached_client: FlaskClient, redis_url: str
) -> None:
    longest = "a" * pages.LONGEST_QUERY
    for query in (longest, longest + "b", longest + " c", f"  {longest} \n"):
        cached_client.get("/search", query_string={"q": query})
    (kept,) = keys(redis_url)
    assert len(kept) < 100
    client = redis.Redis.from_url(redis_url)
    assert 0 < client.ttl(kept) <= 4 * WORLD_SECONDS + 1
    assert client.strlen(kept) < 10_000


def test_ages_grow_on_a_kept_page(
    cached_settings: Settings,
    database: Database,
    cache: Cache,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pages.HOME_PAGE.seconds == pages.AGES_SECONDS <= 10
    monkeypatch.setattr(pages, "HOME_PAGE", drawn.kind("home", seconds=0.2))
    began = utcnow().replace(hour=12)
    world.claim(world.person("otto.test"), began)
    moment = [began]
    client = create_app(cached_settings, database, cache, lambda: moment[0]).test_client()
    assert "just now" in client.get("/").text
    moment[0] += timedelta(minutes=7)
    time.sleep(0.25)
    assert "7 min ago" in client.get("/").text


def test_a_page_of_another_release_is_not_shown(
    cached_settings: Settings,
    make_settings: Callable[..., Settings],
    database: Database,
    cache: Cache,
    world: World,
    redis_url: str,
) -> None:
    world.person("otto.test")
    moved = make_settings(phase=1, redis_url=redis_url, public_url="https://moved.example")
    one = create_app(cached_settings, database, cache).test_client()
    other = create_app(moved, database, cache).test_client()
    for client, url in ((one, cached_settings.public_url), (other, "https://moved.example")):
        assert f'rel="canonical" href="{url}/@otto.test"' in client.get("/@otto.test").text


def test_a_page_counts_once_whatever_it_is_made_of(
    cached_client: FlaskClient, world: World
) -> None:
    world.claim(world.person("otto.test"))
    before = lookups(cached_client)
    for _ in range(5):
        cached_client.get("/")
    after = lookups(cached_client)
    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    assert {key: value for key, value in grown.items() if value} == {
        '{region="home_page",result="miss"}': 1,
        '{region="home_page",result="hit"}': 4,
    }
    metrics = cached_client.get("/metrics").text
    assert 'etcetera_web_request_seconds_count{endpoint="/",status="200"}' in metrics
