"""Trying what people do: whether the site answers at its public address and mentions are taken."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

SECONDS = 5.0
# Mentions wait at Bluesky and jobs in PostgreSQL: a break shorter than this loses nothing.
PATIENCE_SECONDS = 60.0
_CACHE = frozenset({"hit", "stale", "updating", "revalidated", "expired", "miss", "bypass"})
# "Hit from cloudfront", "RefreshHit from cloudfront" and others.
_CLOUDFRONT = {"refreshhit": "revalidated"}


@dataclass(frozen=True)
class Visit:
    """What came of one request; `cache` is what the CDN says it did, or "none"."""

    up: bool
    seconds: float
    cache: str


def visit(http: httpx.Client, site: str) -> Visit:
    """Gets the home page. Anything below 500 counts as an answer."""
    began = time.monotonic()
    try:
        answer = http.get(f"{site}/", timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL):
        return Visit(False, time.monotonic() - began, "none")
    told = answer.headers.get("x-cache", "").lower().partition(" ")[0]
    cache = _CLOUDFRONT.get(told, told)
    return Visit(
        answer.status_code < 500,
        time.monotonic() - began,
        cache if cache in _CACHE else "none",
    )


class Intake:
    """Whether mentions are taken: they were read and could be stored, a short while ago at most."""

    def __init__(self) -> None:
        self._last: float | None = None

    def up(self, now: float, *, read_at: float | None, primary: bool) -> bool | None:
        """`read_at` is when the source was last read with success (Unix time, as `now`).

        None before the first time: a stack that comes up is not down yet.
        """
        if primary and read_at is not None and now - read_at <= PATIENCE_SECONDS:
            self._last = now
        if self._last is None:
            return None
        return now - self._last <= PATIENCE_SECONDS
