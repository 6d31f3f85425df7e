"""For machines that look after this one: health, readiness, metrics."""

from __future__ import annotations

from typing import Any

import psycopg
from flask import Blueprint, Response, jsonify

from app.metrics import CONTENT_TYPE, expose
from app.web.context import context
from app.web.reads import DATABASE_SECONDS

blueprint = Blueprint("ops", __name__)


def health() -> dict[str, Any]:
    """Whether what the site stands on answers. A lost Redis degrades, a lost PostgreSQL ends it."""
    here = context()
    parts = {"database": _database_answers()}
    if here.cache.configured:
        parts["redis"] = here.cache.ping()
    status = "ok" if all(parts.values()) else "degraded" if parts["database"] else "down"
    return {"status": status} | {name: "ok" if up else "lost" for name, up in parts.items()}


def _database_answers() -> bool:
    """The site only reads: while there is no primary, replicas are enough."""
    try:
        context().database.query(lambda conn: conn.execute("SELECT 1"), timeout=DATABASE_SECONDS)
    except psycopg.Error:
        return False
    return True


@blueprint.get("/healthz")
def healthz() -> Response:
    """This process answers; says nothing about what it needs."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    found = health()
    return jsonify(found), 503 if found["status"] == "down" else 200


@blueprint.get("/metrics")
def metrics() -> Response:
    # The queue's figures come from the workers' endpoints; asking the database here too would
    # count them twice.
    return Response(expose(None, context().settings), content_type=CONTENT_TYPE)
