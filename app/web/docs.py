"""The API's documentation: the OpenAPI document, and the same for people."""

from __future__ import annotations

from flask import Blueprint, Response, json, make_response, render_template

from app.web import http
from app.web.api import api
from app.web.context import context, reads

blueprint = Blueprint("docs", __name__)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    response = Response(
        json.dumps(api.document(context().settings.public_url)), mimetype="application/json"
    )
    response.headers["Cache-Control"] = http.SLOW_PAGE
    return response


@blueprint.get("/api")
def people() -> Response:
    document = api.document(context().settings.public_url)
    response = make_response(render_template("api.html", document=document, now=reads().now()))
    response.headers["Cache-Control"] = http.SLOW_PAGE
    return response
