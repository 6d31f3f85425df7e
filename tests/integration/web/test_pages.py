"""Decides what pages show from a real database: the game's facts, and nothing that visitors or
players slip in. How pages look and can be used is decided in tests/browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from app.clock import utcnow
from app.domain import picture
from tests.integration.web.world import World, populate

pytestmark = pytest.mark.integration

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE objects; --",
    "{{ 7 * 7 }} ${7*7} %s {0}",
    "\u202egnp.teapot",
    "🫖" * 40,
]


def text_of(client: FlaskClient, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, (path, response.text[:300])
    return response.text


def test_an_empty_exchange_has_all_its_pages(client: FlaskClient) -> None:
    assert "No drawer has been opened yet today" in text_of(client, "/")
    for path in (
        "/objects",
        "/leaderboard",
        "/search",
        "/search?q=teapot",
        "/status",
        "/sitemap.xml",
    ):
        text_of(client, path)


def test_the_home_page_shows_todays_claims_and_totals(client: FlaskClient, world: World) -> None:
    otto, wren = world.person("otto.test", "Otto"), world.person("wren.test")
    thing = world.claim(otto)
    world.claim(wren, utcnow() - timedelta(days=1))
    page = text_of(client, "/")
    assert thing.name in page
    assert "@otto.test" in page
    numbers = re.findall(r'data-live-value="(\w+)">([\d\u202f]+)<', page)
    assert dict(numbers) == {
        "claims_today": "1",
        "gifts_today": "0",
        "objects": "2",
        "people": "2",
    }
    assert "From earlier days" in page


def test_an_object_shows_its_keeper_its_rarity_in_words_and_its_provenance(
    client: FlaskClient, world: World
) -> None:
    otto, wren, ines = (world.person(f"{name}.test") for name in ("otto", "wren", "ines"))
    thing = world.claim(otto)
    world.give(otto, wren, thing)
    world.offer(wren, ines, thing)
    page = text_of(client, f"/objects/{thing.id}")
    assert f"{thing.rarity}</span>" in page
    assert thing.description in page.replace("&#39;", "'")
    assert re.search(r"<dt>Keeper</dt><dd>.*@wren\.test", page)
    assert "A gift on its way" in page
    assert page.index("gave it to") < page.index("Found by")
    assert f'content="http://127.0.0.1:8080/objects/{thing.id}/picture.png?v=' in page


def test_an_offer_that_has_run_out_is_not_shown(client: FlaskClient, world: World) -> None:
    otto, wren = world.person("otto.test"), world.person("wren.test")
    thing = world.claim(otto)
    world.offer(otto, wren, thing, utcnow() - timedelta(days=8))
    assert "A gift on its way" not in text_of(client, f"/objects/{thing.id}")


def test_a_person_is_found_by_handle_in_any_case_and_by_did(
    client: FlaskClient, world: World
) -> None:
    otto = world.person("otto.test", "Otto 🐙")
    thing = world.claim(otto)
    for path in ("/@otto.test", "/@OTTO.test", f"/users/{otto.did}", "/users/otto.test"):
        page = text_of(client, path)
        assert thing.name in page
        assert 'rel="canonical" href="http://127.0.0.1:8080/@otto.test"' in page
    assert client.get("/@nobody.test").status_code == 404
    assert client.get("/users/did:plc:nobody").status_code == 404


def test_people_without_a_valid_handle_have_pages_of_their_own(
    client: FlaskClient, world: World
) -> None:
    for number in (1, 2):
        world.person(f"odd{number}.handle_is_none")
    people = client.get("/api/v1/users").get_json()["items"]
    assert [person["handle"] for person in people] == ["handle.invalid"] * 2
    assert [person["page"] for person in people] == ["/users/did:plc:odd1", "/users/did:plc:odd2"]
    for person in people:
        text_of(client, person["page"])


def test_a_long_collection_is_paged_without_gap_or_repeat(
    client: FlaskClient, world: World
) -> None:
    otto = world.person("otto.test")
    names = {
        str(world.claim(otto, utcnow() - timedelta(days=back)).id) for back in range(53, -1, -1)
    }
    seen: list[str] = []
    path: str | None = "/@otto.test"
    pages = 0
    while path:
        page = text_of(client, path)
        shelf = page.split('id="collection"')[1]
        seen += re.findall(r'class="card-picture" href="/objects/([0-9a-f-]+)"', shelf)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older.group(1).replace("&amp;", "&") if older else None
        pages += 1
    assert pages == 3
    assert len(seen) == len(set(seen)) == 54
    assert set(seen) == names


def test_the_cabinet_is_filtered_by_what_people_choose(client: FlaskClient, world: World) -> None:
    otto = world.person("otto.test")
    things = [world.claim(otto, utcnow() - timedelta(days=back)) for back in range(12)]
    chosen = things[5]
    page = text_of(client, f"/objects?rarity={chosen.rarity}&category={chosen.category}&region=")
    for thing in things:
        fits = (thing.rarity, thing.category) == (chosen.rarity, chosen.category)
        assert (f"/objects/{thing.id}" in page) == fits
    assert client.get("/objects?rarity=golden").status_code == 404


def test_the_leaderboard_ranks_collectors_and_givers(client: FlaskClient, world: World) -> None:
    otto, wren = world.person("otto.test"), world.person("wren.test")
    for back in range(3):
        at = utcnow() - timedelta(days=back)
        world.claim(otto, at)
        world.give(wren, otto, world.claim(wren, at), at)
    board = client.get("/api/v1/leaderboard").get_json()
    assert [(r["person"]["handle"], r["count"]) for r in board["collectors"]] == [("otto.test", 6)]
    assert [(r["person"]["handle"], r["count"]) for r in board["givers"]] == [("wren.test", 3)]
    assert "@otto.test" in text_of(client, "/leaderboard")


def test_search_finds_objects_by_unfinished_words_and_people_by_the_start_of_a_handle(
    client: FlaskClient, world: World
) -> None:
    otto = world.person("otto.test")
    thing = world.claim(otto)
    world.rename(thing, "Brass Teapot of the Moon", "It whistles at night.")
    for query in ("teapot", "teap", "brass teapot", '"brass teapot"', "moon -sun", "WHISTLES"):
        assert "Brass Teapot" in text_of(client, f"/search?q={query}"), query
    for query in ("saucer", '"teapot brass"', "teapot -moon"):
        assert "Brass Teapot" not in text_of(client, f"/search?q={query}"), query
    for query in ("ott", "@otto", "OTTO.TEST"):
        assert "@otto.test" in text_of(client, f"/search?q={query}"), query
    assert "@otto.test" not in text_of(client, "/search?q=%25")
    assert "@otto.test" not in text_of(client, "/search?q=ot_o")


@pytest.mark.parametrize(
    "query",
    [
        *HOSTILE,
        "\0",
        "a\0b",
        "%FF%FE",
        "\ud800",
        "'",
        '"',
        "\\",
        ":*",
        "!!!",
        "a & | b",
        "-",
        "a" * 10_000,
        "(" * 500,
        "the",
    ],
)
def test_search_takes_any_text(client: FlaskClient, world: World, query: str) -> None:
    world.claim(world.person("otto.test"))
    response = client.get("/search", query_string={"q": query.encode("utf-8", "surrogatepass")})
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert "<img src=x" not in response.text


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_people_are_called_is_shown_as_text(
    client: FlaskClient, world: World, name: str
) -> None:
    otto, wren = world.person("otto.test", name), world.person("wren.test")
    thing = world.claim(otto)
    world.rename(thing, name, name)
    world.give(otto, wren, thing)
    world.claim(wren)
    for path in (
        "/",
        "/objects",
        f"/objects/{thing.id}",
        "/@otto.test",
        "/@wren.test",
        "/leaderboard",
        "/search?q=otto",
        "/sitemap.xml",
    ):
        page = text_of(client, path)
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path
        assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|\b49\b", page), path


def test_who_opted_out_is_named_nowhere(client: FlaskClient, world: World) -> None:
    otto, wren = world.person("otto.test", "Otto"), world.person("wren.test")
    thing = world.claim(otto)
    gift = world.claim(wren)
    world.give(wren, otto, gift)
    world.leave(otto)
    assert client.get("/@otto.test").status_code == 404
    assert client.get(f"/users/{otto.did}").status_code == 404
    assert client.get(f"/api/v1/users/{otto.did}/objects").status_code == 404
    for path in (
        "/",
        "/objects",
        f"/objects/{thing.id}",
        f"/objects/{gift.id}",
        "/@wren.test",
        "/leaderboard",
        "/search?q=otto",
        "/api/v1/users",
        "/api/v1/objects",
        "/api/v1/claims/today",
        f"/api/v1/objects/{gift.id}",
    ):
        page = text_of(client, path).replace("/search?q=otto", "").replace('value="otto"', "")
        assert "otto.test" not in page, path
        assert otto.did not in page, path
    assert "a private collector" in text_of(client, f"/objects/{thing.id}")


def test_pictures_may_be_kept_for_ever(client: FlaskClient, world: World) -> None:
    thing = world.claim(world.person("otto.test"))
    for form, start in (("svg", b"<"), ("png", b"\x89PNG")):
        path = f"/objects/{thing.id}/picture.{form}"
        response = client.get(f"{path}?v={picture.version()}")
        assert response.status_code == 200
        assert response.data.startswith(start)
        assert response.headers["Cache-Control"].endswith("immutable")
        assert "sandbox" in response.headers["Content-Security-Policy"]
        for query in ("", "?v=0ther"):
            assert "immutable" not in client.get(path + query).headers["Cache-Control"]
    assert (
        client.get("/objects/6f1f9a52-63a3-7d3c-8f5e-000000000001/picture.svg").status_code == 404
    )


def test_a_page_asks_the_database_a_bounded_number_of_times(
    client: FlaskClient, world: World
) -> None:
    people = populate(world, datetime.now(UTC))
    before = world.database.stats()["primary"].get("requests_num", 0)
    text_of(client, "/")
    text_of(client, f"/users/{people[0].did}")
    # Home: home, live, two counts. Person: the person, a page of the collection.
    assert world.database.stats()["primary"].get("requests_num", 0) - before <= 6
