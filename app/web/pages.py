"""The site's pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import NotFound

from app.models import Category, Priority, Rarity, Region
from app.web import charts, http
from app.web.context import context, reads
from app.web.cursors import Cursor, CursorError
from app.web.names import did_of_name, search_words
from app.web.ops import health
from app.web.problems import BadQuery, WrongParameter
from app.web.reads import COLLECTION_PAGE, ObjectFilter
from app.web.views import Person, Point

blueprint = Blueprint("pages", __name__)

LONGEST_QUERY = 200
_PRIORITIES = {
    Priority.HIGH: "Claims",
    Priority.NORMAL: "Gifts and answers",
    Priority.LOW: "Help and inventories",
}


@blueprint.get("/")
def home() -> str:
    return _page("home.html", home=reads().home(), live=reads().live())


@blueprint.get("/objects")
def objects() -> str:
    """All objects, by rarity, category and region."""
    wanted = ObjectFilter(
        rarity=_choice("rarity", Rarity),
        category=_choice("category", Category),
        region=_choice("region", Region),
    )
    found = reads().objects(wanted, _cursor(), COLLECTION_PAGE)
    return _page(
        "objects.html",
        found=found,
        wanted=wanted,
        categories=list(Category),
        regions=list(Region),
        older=_older(found.next),
    )


@blueprint.get("/objects/<uuid:object_id>")
def show_object(object_id: UUID) -> str:
    return _page("object.html", object=reads().object(object_id))


@blueprint.get("/@<handle>")
def show_person(handle: str) -> str:
    return _show_person(did_of_name(handle))


@blueprint.get("/users/<name>")
def show_user(name: str) -> str:
    return _show_person(did_of_name(name))


def _show_person(did: str) -> str:
    person = reads().person(did)
    found = reads().collection(did, _cursor(), COLLECTION_PAGE)
    by_rarity = [(rarity.value, person.collection.by_rarity.get(rarity, 0)) for rarity in Rarity]
    return _page(
        "person.html",
        person=person,
        found=found,
        slices=charts.stacked(by_rarity),
        first="cursor" not in request.args,
        older=_older(found.next),
    )


@blueprint.get("/leaderboard")
def leaderboard() -> str:
    return _page("leaderboard.html", board=reads().leaderboard())


@blueprint.get("/search")
def search() -> str:
    query = search_words(request.args.get("q", ""))[:LONGEST_QUERY].strip()
    found = reads().search(query, _cursor(), COLLECTION_PAGE) if query else None
    return _page(
        "search.html", query=query, found=found, older=_older(found.objects.next if found else None)
    )


@blueprint.get("/how-it-works")
def how_it_works() -> Response:
    response = make_response(_page("how_it_works.html"))
    response.headers["Cache-Control"] = http.SLOW_PAGE
    return response


@blueprint.get("/status")
def status() -> str:
    found, stats = reads().status(), reads().stats()
    days = [
        Point(at=reads().now() - timedelta(days=len(stats.claims_by_day) - 1 - i), value=day.claims)
        for i, day in enumerate(stats.claims_by_day)
    ]
    return _page(
        "status.html",
        status=found,
        health=health(),
        web=context().measurements.recent(),
        priorities=_PRIORITIES,
        mentions=charts.bar_chart(found.mentions, at_least=5),
        replies=charts.bar_chart(found.replies, at_least=1),
        points=charts.bar_chart(found.write_points, at_least=100),
        days=charts.bar_chart(days, at_least=5),
    )


@blueprint.get("/sitemap.xml")
def sitemap() -> Response:
    newest = reads().objects(ObjectFilter(), None, 100).items
    response = make_response(render_template("sitemap.xml", newest=newest))
    response.mimetype = "application/xml"
    response.headers["Cache-Control"] = http.SLOW_PAGE
    return response


def _page(template: str, **values: Any) -> str:
    return render_template(template, now=reads().now(), **values)


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


def _older(cursor: str | None) -> str | None:
    """The address of the next page, with everything else as it is."""
    if cursor is None:
        return None
    return f"{request.path}?{urlencode({**request.args.to_dict(), 'cursor': cursor})}"


def bluesky_profile(person: Person) -> str:
    return f"https://bsky.app/profile/{quote(person.did)}"
