"""Errors as people and programs read them: a page, or problem+json (RFC 9457) under /api."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

import psycopg
import structlog
from flask import Flask, Response, current_app, g, json, render_template, request
from pydantic import BaseModel, ConfigDict
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from app.errors import Unavailable
from app.web.throttle import retry_after

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
# The same for everybody, and to be kept as pages are: so it takes the place of a page that is gone,
# which a cache would else show again when nobody answers.
_LASTING = (400, 404)
SHORTLY = "public, max-age=0, s-maxage=1, stale-while-revalidate=1"
_DETAILS = {
    404: "There is nothing at this address. It may have been mistyped.",
    429: "That was a lot at once. Please wait a moment before you go on.",
}


class WrongParameter(BaseModel):
    """What is wrong with one parameter of the query."""

    parameter: str
    detail: str


class Problem(BaseModel):
    """An error, as of RFC 9457."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    """Path of the request."""
    request_id: str
    """Quote it when asking about this error."""
    errors: list[WrongParameter]


class BadQuery(HTTPException):
    """Parameters of the query are wrong."""

    code = 400
    description = "Parameters of the query are wrong."

    def __init__(self, errors: list[WrongParameter]) -> None:
        super().__init__()
        self.errors = errors


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _respond)
    for error in (psycopg.OperationalError, Unavailable):
        app.register_error_handler(error, _database_lost)
    app.register_error_handler(Exception, _bug)


def wants_json() -> bool:
    return request.path.startswith(("/api/", "/openapi.json"))


def _database_lost(error: Exception) -> Response:
    log.error("database lost", error=str(error))
    return _respond(
        ServiceUnavailable("The exchange cannot reach its records. It tries again by itself.")
    )


def _bug(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    if current_app.debug or current_app.testing:
        raise error
    return _respond(InternalServerError("Something broke on our side. It has been noted."))


def _respond(error: HTTPException) -> Response:
    if error.response is not None:  # a redirect, or an abort() with its own answer
        return cast("Response", error.get_response())
    status = error.code or 500
    detail = error.description or ""
    if detail == type(error).description or status == 429:
        detail = _DETAILS.get(status, detail)
    title = HTTPStatus(status).phrase
    if wants_json():
        problem = Problem(
            type="about:blank",
            title=title,
            status=status,
            detail=detail,
            instance=request.path,
            request_id=g.get("request_id", ""),
            errors=error.errors if isinstance(error, BadQuery) else [],
        )
        response = Response(json.dumps(problem.model_dump()), status, mimetype=MEDIA_TYPE)
    else:
        page = render_template("error.html", status=status, title=title, detail=detail)
        response = Response(page, status, mimetype="text/html")
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    if status == 429:
        response.headers["Retry-After"] = str(retry_after())
    response.headers["Cache-Control"] = SHORTLY if status in _LASTING else "no-store"
    return response
