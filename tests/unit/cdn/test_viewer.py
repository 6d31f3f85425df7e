"""Decides what CloudFront is told of each request before it looks into its cache: the function is
run as it is deployed, by Node in place of CloudFront's own runtime."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from components.cdn.aws import VIEWER
from infra.local.binaries import node

HOST = "etcetera.example.com"
DRIVER = """
const events = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(events.map((event) => handler(event))));
"""
# Not in the runtime (cloudfront-js-2.0), or not to be relied on there.
FOREIGN = re.compile(r"\b(require|import|export|fetch|URL|URLSearchParams|Buffer|process)\b")


def answers(uri: str, host: str = HOST, **query: str | list[str]) -> dict[str, Any]:
    parameters = {
        name: {"value": value}
        if isinstance(value, str)
        else {"value": value[0], "multiValue": [{"value": one} for one in value]}
        for name, value in query.items()
    }
    event = {
        "version": "1.0",
        "context": {"eventType": "viewer-request"},
        "viewer": {"ip": "203.0.113.9"},
        "request": {
            "method": "GET",
            "uri": uri,
            "querystring": parameters,
            "headers": {"host": {"value": host}},
            "cookies": {},
        },
    }
    ran = subprocess.run(
        [str(node()), "-e", VIEWER + DRIVER],
        input=json.dumps([event]),
        capture_output=True,
        text=True,
        check=True,
    )
    (found,) = json.loads(ran.stdout)
    assert isinstance(found, dict)
    return found


def test_links_that_follow_people_lead_to_the_page_that_others_have_seen() -> None:
    found = answers("/objects", utm_source="x", FBCLID="y", rarity="rare", tags=["a", "b"])
    assert list(found["querystring"]) == ["rarity", "tags"]
    assert found["uri"] == "/objects"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("/%6Fbjects/%7e", "/objects/~"),
        ("/@j%c3%b6rg.example", "/@j%C3%B6rg.example"),
        ("/a%2fb", "/a%2Fb"),
        ("/100%", "/100%"),
    ],
)
def test_ways_to_write_an_address_are_one(given: str, asked: str) -> None:
    assert answers(given)["uri"] == asked


@pytest.mark.parametrize("uri", ["/metrics", "/%6Detrics"])
def test_metrics_are_not_there(uri: str) -> None:
    assert answers(uri)["statusCode"] == 404


def test_www_leads_to_the_site_with_everything_else_as_it_is() -> None:
    found = answers("/search", host=f"www.{HOST}", q="tea%20pot", tags=["a", "b"], empty="")
    assert found["statusCode"] == 301
    assert found["headers"]["location"]["value"] == (
        f"https://{HOST}/search?q=tea%20pot&tags=a&tags=b&empty"
    )
    assert answers("/", host=f"www.{HOST}")["headers"]["location"]["value"] == f"https://{HOST}/"


def test_it_is_as_small_and_as_plain_as_the_runtime_demands() -> None:
    assert len(VIEWER.encode()) < 10 * 1024
    assert not FOREIGN.search(VIEWER)
