"""The API's description: each endpoint is declared once, and from that come its route, the check of
its query, the form of its answer and its entry in the OpenAPI document. So they cannot disagree."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.web.http import PAGE
from app.web.problems import MEDIA_TYPE, BadQuery, Problem, WrongParameter

VERSION = "1.0.0"
_PREFIX = "/api/v1"
_REFS = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Endpoint:
    rule: str  # Flask's, below the prefix
    name: str
    summary: str
    description: str
    answer: type[BaseModel]
    query: type[BaseModel] | None
    path_parameters: Mapping[str, str]

    @property
    def path(self) -> str:
        """The path as OpenAPI writes it: `/objects/{id}`."""
        return _PREFIX + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self.rule)


@dataclass
class Api:
    """The endpoints of a blueprint."""

    blueprint: Blueprint
    endpoints: list[Endpoint] = field(default_factory=list)

    def get(
        self,
        rule: str,
        answer: type[BaseModel],
        *,
        query: type[BaseModel] | None = None,
        cache_control: str = PAGE,
        **path_parameters: str,
    ) -> Callable[[Callable[..., BaseModel]], Callable[..., BaseModel]]:
        """Declares what the decorated function answers.

        `cache_control`: where the usual one is not right.

        It gets the path's parameters by name (described here by the keyword arguments) and, if
        there is one, the checked query. Its docstring is the summary and the description.
        """

        def declare(answering: Callable[..., BaseModel]) -> Callable[..., BaseModel]:
            summary, _, rest = (answering.__doc__ or "").strip().partition("\n")
            endpoint = Endpoint(
                rule=rule,
                name=answering.__name__,
                summary=summary.rstrip("."),
                description=" ".join(rest.split()),
                answer=answer,
                query=query,
                path_parameters=path_parameters,
            )
            self.endpoints.append(endpoint)
            adapter: TypeAdapter[Any] = TypeAdapter(answer)

            def view(**arguments: Any) -> Response:
                if query is not None:
                    arguments["query"] = _checked(query)
                response = Response(
                    adapter.dump_json(answering(**arguments)), mimetype="application/json"
                )
                response.headers["Cache-Control"] = cache_control
                return response

            self.blueprint.add_url_rule(rule, answering.__name__, view, methods=["GET"])
            return answering

        return declare

    def document(self, server: str) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        answers: list[type[BaseModel]] = [Problem, *(e.answer for e in self.endpoints)]
        models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
            (model, "serialization") for model in dict.fromkeys(answers)
        ]
        references, schemas = models_json_schema(models, ref_template=_REFS)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Etcetera.Exchange",
                "version": VERSION,
                "description": (
                    "Everything the site shows, as JSON. Read-only and without keys. Times are in"
                    " UTC, and a day is a UTC day. Errors are problem details (RFC 9457). Long"
                    " lists come in pages: pass `next` of one answer as `cursor` of the next"
                    " request."
                ),
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": server}],
            "paths": {
                endpoint.path: {"get": _operation(endpoint, references)}
                for endpoint in self.endpoints
            },
            "components": {"schemas": schemas.get("$defs", {})},
        }


def _checked(model: type[BaseModel]) -> BaseModel:
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise BadQuery(
            [
                WrongParameter(
                    parameter=".".join(str(part) for part in detail["loc"]),
                    detail=detail["msg"].removeprefix("Value error, "),
                )
                for detail in error.errors(include_url=False, include_context=False)
            ]
        ) from None


def _operation(endpoint: Endpoint, references: Mapping[Any, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": description,
            "schema": _path_schema(endpoint.rule, name),
        }
        for name, description in endpoint.path_parameters.items()
    ]
    if endpoint.query:
        parameters += _query_parameters(endpoint.query)
    responses: dict[str, Any] = {
        "200": {
            "description": "OK",
            "content": {
                "application/json": {"schema": references[(endpoint.answer, "serialization")]}
            },
        }
    }
    errors = {"429": "Too many requests; wait for the seconds in Retry-After.", "503": "Try later."}
    if endpoint.query:
        errors["400"] = "Parameters of the query are wrong."
    if endpoint.path_parameters:
        errors["404"] = "There is no such thing here."
    for status, description in sorted(errors.items()):
        responses[status] = {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": references[(Problem, "serialization")]}},
        }
    operation = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": responses,
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    return operation


def _path_schema(rule: str, name: str) -> dict[str, str]:
    return {"type": "string"} | ({"format": "uuid"} if f"<uuid:{name}>" in rule else {})


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    found = []
    for name, raw in schema["properties"].items():
        described = dict(raw)
        # A parameter that may be left out is not one that may be null.
        options = [o for o in described.pop("anyOf", []) if o.get("type") != "null"]
        for option in options:
            described |= option
        if reference := described.pop("$ref", None):
            described = definitions[reference.rsplit("/", 1)[1]] | described
        described.pop("title", None)
        if described.get("default", ...) is None:
            del described["default"]
        description = described.pop("description", "")
        found.append(
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", []),
                "description": description,
                "schema": described,
            }
        )
    return found
