"""Static files under an address that changes with their contents, so they may be kept for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from app.web.context import context

FOLDER = Path(__file__).parent / "static"
IMMUTABLE = "public, max-age=31536000, immutable"

blueprint = Blueprint("assets", __name__)


def version() -> str:
    """A digest of all static files. One for all, because they refer to each other."""
    return digest(FOLDER)


def digest(folder: Path) -> str:
    """Of all files in it, by name and contents, but not of what Python compiled."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix != ".pyc":
            found.update(str(path.relative_to(folder)).encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


@blueprint.get("/static/<version>/<path:name>", endpoint="file")
def static_file(version: str, name: str) -> Response:
    response = send_from_directory(FOLDER, name)
    # While a release rolls out, a page of one version may ask a server of another.
    known = version == context().static_version
    response.headers["Cache-Control"] = IMMUTABLE if known else "public, max-age=60"
    return response


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    response = send_from_directory(FOLDER, "icon.svg", mimetype="image/svg+xml")
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response


@blueprint.get("/robots.txt")
def robots() -> Response:
    text = (
        "User-agent: *\nDisallow: /api/\nDisallow: /search\n"
        f"Sitemap: {context().settings.public_url}/sitemap.xml\n"
    )
    response = Response(text, mimetype="text/plain")
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response
