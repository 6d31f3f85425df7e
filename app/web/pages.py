"""The site's pages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import NotFound

from app.cache import WORLD, object_scope, user_scope
from app.clock import day_of
from app.models import Category, Rarity, Region
from app.web import charts, http
from app.web.context import reads
from app.web.cursors import Cursor, CursorError
from app.web.drawn import Drawn, answer, draw, kind
from app.web.names import did_of_name, search_words
from app.web.problems import BadQuery, WrongParameter
from app.web.reads import (
    COLLECTION_PAGE,
    COUNT_PAUSE,
    OBJECT,
    PAUSE,
    PERSON,
    WORLD_SECONDS,
    ObjectFilter,
)
from app.web.views import Page, Person

blueprint = Blueprint("pages", __name__)

LONGEST_QUERY = 200
# "7 min ago" is written into the page: this is how late it may turn into 8.
AGES_SECONDS = 10

HOME_PAGE = kind("home", seconds=AGES_SECONDS, pause=PAUSE)
OBJECTS_PAGE = kind("objects", seconds=WORLD_SECONDS, pause=PAUSE)
OBJECT_PAGE = kind("object")
PERSON_PAGE = kind("person")
LEADERBOARD_PAGE = kind("leaderboard", seconds=WORLD_SECONDS, pause=COUNT_PAUSE)
SEARCH_PAGE = kind("search", seconds=WORLD_SECONDS, pause=PAUSE)


@blueprint.get("/")
def home() -> Response:
    def load() -> Drawn:
        return draw("home.html", home=reads().home(), live=reads().live())

    return answer(HOME_PAGE, WORLD, f"{day_of(reads().now())}", load)


@blueprint.get("/objects")
def objects() -> Response:
    """All objects, by rarity, category and region."""
    wanted = ObjectFilter(
        rarity=_choice("rarity", Rarity),
        category=_choice("category", Category),
        region=_choice("region", Region),
    )
    cursor = _cursor()

    def load() -> Drawn:
        found = reads().objects(wanted, cursor, COLLECTION_PAGE)
        return draw(
            "objects.html",
            found=found,
            wanted=wanted,
            categories=list(Category),
            regions=list(Region),
            older=_older("/objects", found, asdict(wanted)),
        )

    return answer(OBJECTS_PAGE, WORLD, f"{wanted}/{cursor}", load)


@blueprint.get("/objects/<uuid:object_id>")
def show_object(object_id: UUID) -> Response:
    def load() -> Drawn:
        found = reads().object(object_id)
        return draw("object.html", ends=OBJECT.ends(found), object=found)

    return answer(OBJECT_PAGE, object_scope(object_id), "", load)


@blueprint.get("/@<handle>")
def show_person(handle: str) -> Response:
    return _show_person(did_of_name(handle))


@blueprint.get("/users/<name>")
def show_user(name: str) -> Response:
    return _show_person(did_of_name(name))


def _show_person(did: str) -> Response:
    cursor = _cursor()

    def load() -> Drawn:
        person = reads().person(did)
        found = reads().collection(did, cursor, COLLECTION_PAGE)
        by_rarity = [
            (rarity.value, person.collection.by_rarity.get(rarity, 0)) for rarity in Rarity
        ]
        return draw(
            "person.html",
            ends=PERSON.ends(person),
            person=person,
            found=found,
            slices=charts.stacked(by_rarity),
            first=cursor is None,
            older=_older(str(person.page), found, {}),
        )

    return answer(PERSON_PAGE, user_scope(did), f"{cursor}", load)


@blueprint.get("/leaderboard")
def leaderboard() -> Response:
    return answer(
        LEADERBOARD_PAGE,
        WORLD,
        "",
        lambda: draw("leaderboard.html", board=reads().leaderboard()),
    )


@blueprint.get("/search")
def search() -> Response:
    query = search_words(request.args.get("q", ""))[:LONGEST_QUERY].strip()
    cursor = _cursor() if query else None

    def load() -> Drawn:
        found = reads().search(query, cursor, COLLECTION_PAGE) if query else None
        older = _older("/search", found.objects, {"q": query}) if found else None
        return draw("search.html", query=query, found=found, older=older)

    return answer(SEARCH_PAGE, WORLD, f"{cursor}/{query}", load)


@blueprint.get("/how-it-works")
def how_it_works() -> Response:
    response = make_response(render_template("how_it_works.html"))
    response.headers["Cache-Control"] = http.SLOW_PAGE
    return response


@blueprint.get("/sitemap.xml")
def sitemap() -> Response:
    newest = reads().objects(ObjectFilter(), None, 100).items
    response = make_response(render_template("sitemap.xml", newest=newest))
    response.mimetype = "application/xml"
    response.headers["Cache-Control"] = http.SLOW_PAGE
    return response


def _cursor() -> Cursor | None:
    text = request.args.get("cursor")
    try:
        return Cursor.decode(text) if text else None
    except CursorError as error:
        raise BadQuery([WrongParameter(parameter="cursor", detail=str(error))]) from None


def _choice(name: str, options: type[Any]) -> Any:
    """A filter's value; None for none, and NotFound for one that does not exist."""
    text = request.args.get(name, "")
    if not text:
        return None
    try:
        return options(text)
    except ValueError:
        raise NotFound(f"There is no such {name}.") from None


def _older(path: str, found: Page[Any], query: dict[str, str | None]) -> str | None:
    """The address of the next page, with everything else as it is."""
    if found.next is None:
        return None
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode({**given, 'cursor': found.next})}"


def bluesky_profile(person: Person) -> str:
    return f"https://bsky.app/profile/{quote(person.did)}"
