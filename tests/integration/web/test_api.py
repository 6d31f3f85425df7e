"""Decides that each answer of the API keeps to the OpenAPI document and that paging is complete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator

from app.clock import utcnow
from tests.integration.web.world import World, populate

pytestmark = pytest.mark.integration


def validate(document: dict[str, Any], path: str, status: int, body: object) -> None:
    response = document["paths"][path]["get"]["responses"][str(status)]
    (media,) = response["content"].values()
    schema = media["schema"] | {"components": document["components"]}
    OAS31Validator(schema, format_checker=OAS31Validator.FORMAT_CHECKER).validate(body)


def test_each_answer_is_as_the_document_says(client: FlaskClient, world: World) -> None:
    people = populate(world, datetime.now(UTC))
    document = client.get("/openapi.json").get_json()
    object_id = client.get("/api/v1/objects?limit=1").get_json()["items"][0]["id"]
    values = {"id": object_id, "name": people[0].did}
    queries = {"search": {"q": "a"}}
    for path, item in document["paths"].items():
        operation = item["get"]
        response = client.get(
            path.format(**values), query_string=queries.get(operation["operationId"], {})
        )
        assert response.status_code == 200, path
        validate(document, path, 200, response.get_json())
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        if operation["parameters"] and operation["parameters"][0]["in"] == "path":
            nothing = {"id": "6f1f9a52-63a3-7d3c-8f5e-000000000001", "name": "nobody.test"}
            missing = client.get(path.format(**nothing))
            assert missing.status_code == 404, path
            validate(document, path, 404, missing.get_json())
        if "400" in operation["responses"]:
            wrong = client.get(
                path.format(**values), query_string={"limit": "many", "q": "", "hours": "many"}
            )
            assert wrong.status_code == 400, path
            validate(document, path, 400, wrong.get_json())


@pytest.mark.parametrize("path", ["/api/v1/objects", "/api/v1/users/otto.test/objects"])
def test_paging_shows_everything_once_newest_first(
    client: FlaskClient, world: World, path: str
) -> None:
    otto = world.person("otto.test")
    made = [str(world.claim(otto, utcnow() - timedelta(days=back)).id) for back in range(17)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 5}
    while True:
        page = client.get(path, query_string=query).get_json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == made


def test_todays_claims_and_people_are_paged_too(client: FlaskClient, world: World) -> None:
    for index in range(7):
        world.claim(world.person(f"person{index}.test"))
    for path in ("/api/v1/claims/today", "/api/v1/users"):
        first = client.get(path, query_string={"limit": 4}).get_json()
        rest = client.get(path, query_string={"limit": 4, "cursor": first["next"]}).get_json()
        assert (len(first["items"]), len(rest["items"]), rest["next"]) == (4, 3, None)
        assert not [item for item in rest["items"] if item in first["items"]]


def test_stats_have_each_of_the_last_days(client: FlaskClient, world: World) -> None:
    otto = world.person("otto.test")
    for back in (0, 1, 3, 13, 14):
        world.claim(otto, utcnow() - timedelta(days=back))
    stats = client.get("/api/v1/stats").get_json()
    counts = [day["claims"] for day in stats["claims_by_day"]]
    assert len(counts) == 14
    assert (counts[-1], counts[-2], counts[-3], counts[-4], counts[0]) == (1, 1, 0, 1, 1)
    assert stats["objects"] == 5


def test_a_new_day_begins_at_midnight_utc(client: FlaskClient) -> None:
    live = client.get("/api/v1/live").get_json()
    assert live["day"] == datetime.now(UTC).date().isoformat()
    assert live["next_day"].endswith("T00:00:00Z")
