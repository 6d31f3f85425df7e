"""Decides what the monitor understands of what a CDN says it did."""

from __future__ import annotations

import httpx
import pytest

from app.monitor.probes import visit


@pytest.mark.parametrize(
    ("told", "understood"),
    [
        ("HIT", "hit"),
        ("expired", "expired"),
        ("Hit from cloudfront", "hit"),
        ("Miss from cloudfront", "miss"),
        ("RefreshHit from cloudfront", "revalidated"),
        ("FunctionGeneratedResponse from cloudfront", "none"),
        ("", "none"),
    ],
)
def test_what_the_cdn_did_is_understood_whoever_it_is(told: str, understood: str) -> None:
    answers = httpx.MockTransport(lambda _: httpx.Response(200, headers={"X-Cache": told}))
    with httpx.Client(transport=answers) as http:
        assert visit(http, "https://etcetera.example").cache == understood
