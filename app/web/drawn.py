"""Pages as they were drawn, kept in the cache under the scope of what they show.

A page is a value like any other: one look-up finds it and tells whether a commit has outdated it.
So it must depend on nothing but its key, its scope and the time: headers, ids of requests and who
asks stay outside. Errors are raised, and what is raised is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Response, render_template
from pydantic import TypeAdapter
from werkzeug.http import generate_etag

from app.cache import Kind
from app.domain import picture
from app.settings import Settings
from app.web import assets, http
from app.web.context import context, reads


@dataclass(frozen=True)
class Drawn:
    html: str
    etag: str
    ends: datetime | None
    """When it stops being true by itself."""


def kind(name: str, *, seconds: float | None = None, pause: float = 0) -> Kind[Drawn]:
    """A sort of pages, `NAME_page` in metrics. See Kind for the rest."""
    return Kind(f"{name}_page", _ADAPTER, seconds, pause, ends=lambda page: page.ends)


_ADAPTER = TypeAdapter(Drawn)


def draw(template: str, ends: datetime | None = None, **values: Any) -> Drawn:
    html = render_template(template, now=reads().now(), **values)
    return Drawn(html, generate_etag(html.encode()), ends)


def answer(kind: Kind[Drawn], scope: str, key: str, load: Callable[[], Drawn]) -> Response:
    """The page under `key`, drawn by `load` where it is not kept."""
    here = context()
    page = here.cache.get(kind, scope, f"{here.release}/{key}", lambda _: load())
    response = Response(page.html, mimetype="text/html")
    response.set_etag(page.etag)
    response.headers["Cache-Control"] = http.PAGE
    return response


def release(settings: Settings) -> str:
    """What draws pages: while a release rolls out, none gets a page of the other's."""
    parts = (
        assets.digest(Path(__file__).parent),
        picture.version(),
        settings.public_url,
        settings.bluesky_handle,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
