"""The JSON API. Each endpoint's declaration is also its documentation (see openapi.py)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.models import Category, Rarity, Region
from app.repository.users import valid_did
from app.web import views
from app.web.context import reads
from app.web.cursors import Cursor
from app.web.http import LIVE
from app.web.names import did_of_name, search_words
from app.web.openapi import Api
from app.web.reads import ObjectFilter

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
api = Api(blueprint)


def _cursor(text: str) -> str:
    Cursor.decode(text)
    return text


def _did(text: str) -> str:
    if not valid_did(text):
        raise ValueError("this cursor was not given out by this API")
    return text


def _words(value: object) -> object:
    return search_words(value) if isinstance(value, str) else value


class Query(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Paging(Query):
    cursor: Annotated[str, AfterValidator(_cursor)] | None = None
    """Where to go on: `next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 30
    """Items on a page."""

    @property
    def after(self) -> Cursor | None:
        return Cursor.decode(self.cursor) if self.cursor else None


class ObjectsQuery(Paging):
    rarity: Rarity | None = None
    category: Category | None = None
    region: Region | None = None


class PeopleQuery(Query):
    cursor: Annotated[str, AfterValidator(_did)] | None = None
    """Where to go on: `next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 30
    """Items on a page."""


class SearchQuery(Paging):
    q: Annotated[str, BeforeValidator(_words), Field(min_length=1, max_length=200)]
    """Words in an object's name, description, category or region, or the start of a handle."""


class HistoryQuery(Query):
    hours: Annotated[int, Field(ge=1, le=24)] = 1
    """How far to look back."""


@api.get("/objects", views.Page[views.ObjectSummary], query=ObjectsQuery)
def list_objects(query: ObjectsQuery) -> BaseModel:
    """Objects, newest first."""
    wanted = ObjectFilter(query.rarity, query.category, query.region)
    return reads().objects(wanted, query.after, query.limit)


@api.get("/objects/<uuid:id>", views.ObjectDetail, id="The object's id.")
def get_object(id: UUID) -> BaseModel:
    """One object, with its provenance."""
    return reads().object(id)


@api.get("/users", views.Page[views.Person], query=PeopleQuery)
def list_users(query: PeopleQuery) -> BaseModel:
    """Everybody who takes part, in no particular order."""
    return reads().people(query.cursor or "", query.limit)


@api.get("/users/<name>", views.PersonDetail, name="A DID, or a handle with or without @.")
def get_user(name: str) -> BaseModel:
    """One person, with totals and open offers."""
    return reads().person(did_of_name(name))


@api.get(
    "/users/<name>/objects",
    views.Page[views.ObjectSummary],
    query=Paging,
    name="A DID, or a handle with or without @.",
)
def list_user_objects(name: str, query: Paging) -> BaseModel:
    """A person's collection, newest objects first."""
    person = reads().person(did_of_name(name))
    return reads().collection(person.did, query.after, query.limit)


@api.get("/claims/today", views.Page[views.Claim], query=Paging)
def list_claims_today(query: Paging) -> BaseModel:
    """Claims of the current UTC day, newest first."""
    return reads().claims_today(query.after, query.limit)


@api.get("/leaderboard", views.Leaderboard)
def get_leaderboard() -> BaseModel:
    """Who has most objects, and who gave most gifts."""
    return reads().leaderboard()


@api.get("/search", views.Found, query=SearchQuery)
def search(query: SearchQuery) -> BaseModel:
    """Objects and people.

    All words must occur; the last one may be unfinished. Quotes hold words together, a minus
    excludes one. People are found by the start of their handle.
    """
    return reads().search(query.q, query.after, query.limit)


@api.get("/stats", views.Stats)
def get_stats() -> BaseModel:
    """Totals, and the claims of the last 14 days."""
    return reads().stats()


@api.get("/live", views.Live)
def get_live() -> BaseModel:
    """The numbers that move. Cheap; made to be asked every few seconds."""
    return reads().live()


@api.get("/status", views.Status, cache_control=LIVE)
def get_status() -> BaseModel:
    """How the bot and its queue are doing."""
    return reads().status()


@api.get("/status/history", views.History, query=HistoryQuery, cache_control=LIVE)
def get_history(query: HistoryQuery) -> BaseModel:
    """What the monitor measured, for charts."""
    return reads().history(query.hours)
