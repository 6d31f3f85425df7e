"""Pictures of objects. One version of one never changes, so it may be kept for ever."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from flask import Blueprint, Response, request

from app.domain import picture
from app.domain.objects import Traits
from app.web.assets import IMMUTABLE
from app.web.context import reads
from app.web.http import PICTURE_SECURITY, SLOW_PAGE

blueprint = Blueprint("pictures", __name__, url_prefix="/objects/<uuid:object_id>")


def address(object_id: UUID, form: str = "svg") -> str:
    return f"/objects/{object_id}/picture.{form}?v={picture.version()}"


@blueprint.get("/picture.svg")
def svg(object_id: UUID) -> Response:
    return _answer(picture.svg(reads().traits(object_id)), "image/svg+xml")


@blueprint.get("/picture.png")
def png(object_id: UUID) -> Response:
    return _answer(_png(reads().traits(object_id)), "image/png")


@lru_cache(maxsize=128)
def _png(traits: Traits) -> bytes:
    """Rendering takes long enough to remember the last ones: a link is fetched by many at once."""
    return picture.png(traits)


def _answer(body: str | bytes, media_type: str) -> Response:
    response = Response(body, mimetype=media_type)
    # While a release rolls out, a page of one version may ask a server of another.
    known = request.args.get("v") == picture.version()
    response.headers["Cache-Control"] = IMMUTABLE if known else SLOW_PAGE
    response.headers["Content-Security-Policy"] = PICTURE_SECURITY
    return response
