"""Decides that the OpenAPI document is valid and complete. That answers keep to it is decided in
tests/integration/web/test_api.py."""

import re

from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.unit.web.conftest import site


def test_the_document_is_valid(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["servers"] == [{"url": "https://etcetera.example"}]


def test_each_route_of_the_api_is_in_the_document_and_the_reverse(client: FlaskClient) -> None:
    app: Flask = site()
    routes = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1")
    }
    assert routes == set(client.get("/openapi.json").get_json()["paths"])


def test_parameters_are_described_with_their_bounds(client: FlaskClient) -> None:
    operation = client.get("/openapi.json").get_json()["paths"]["/api/v1/objects"]["get"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert parameters["limit"]["schema"]["maximum"] == 100
    assert parameters["limit"]["schema"]["default"] == 30
    assert "legendary" in parameters["rarity"]["schema"]["enum"]
    assert not parameters["rarity"]["required"]
    assert all(
        parameter["description"] for parameter in (parameters["cursor"], parameters["limit"])
    )


def test_people_can_read_it_too(client: FlaskClient) -> None:
    page = client.get("/api").get_data(as_text=True)
    assert page.count('class="operation"') == len(client.get("/openapi.json").get_json()["paths"])
