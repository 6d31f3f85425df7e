"""Scraping: the metrics of the stack's processes, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from app.monitor.history import KEPT, STARTED

SECONDS = 2.0
MOST_BYTES = 8 * 1024 * 1024
_WANTED = frozenset({*KEPT, STARTED})


def client() -> httpx.Client:
    """For all that the monitor asks by HTTP; follows no redirects and no proxies."""
    return httpx.Client(
        timeout=SECONDS,
        trust_env=False,
        headers={"User-Agent": "etcetera-monitor"},
        limits=httpx.Limits(max_connections=None),
    )


def scrape(http: httpx.Client, url: str) -> list[Sample] | None:
    """What is kept of a target's metrics; None when it does not answer or makes no sense."""
    try:
        text = _text(http, url)
        families = text_string_to_metric_families("\n".join(_wanted(text)) + "\n")
        return [sample for family in families for sample in family.samples]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None


def _text(http: httpx.Client, url: str) -> str:
    deadline = time.monotonic() + SECONDS
    body = bytearray()
    with http.stream("GET", url) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MOST_BYTES or time.monotonic() > deadline:
                raise ValueError("too much, or too slow")
    return body.decode()


def _wanted(text: str) -> Iterator[str]:
    """The lines of metrics that are kept: etcd alone has thousands of others."""
    return (line for line in _lines(text) if line.partition(" ")[0].partition("{")[0] in _WANTED)


def _lines(text: str) -> Iterable[str]:
    # Not splitlines(), which also splits at characters that a label may hold.
    return text.split("\n")
