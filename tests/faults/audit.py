"""What was promised, counted on both sides: in the stack's database and on Bluesky."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg

from app.db import Connection
from tests.faults.ledger import Ledger
from tests.faults.platform import Platform

ANSWER_SECONDS = 240.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Answers:
    """Seconds from a post to its effect and to the reply, at worst."""

    effect: float
    reply: float


@dataclass(frozen=True)
class Audit:
    """Numbers of promises that were not kept."""

    writes_lost: int
    mentions_lost: int
    effects_doubled: int
    replies_doubled: int
    replies_missing: int


def wait_for_answers(platform: Platform, posted: Mapping[str, float]) -> Answers:
    """Returns when the bot has answered all mentions; AssertionError after `ANSWER_SECONDS`."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        rows = _answers(platform, posted)
        if len(rows) >= len(posted):
            return Answers(
                max((row["effect_at"] - posted[row["uri"]] for row in rows), default=0.0),
                max((row["sent_at"] - posted[row["uri"]] for row in rows), default=0.0),
            )
        assert time.monotonic() < deadline, f"{len(rows)} of {len(posted)} mentions answered"
        time.sleep(_LOOK_SECONDS)


def audit(
    platform: Platform, ledger: Ledger, posted: Mapping[str, float], missed: set[str]
) -> Audit:
    """Everything acknowledged since the stack came up, and the mentions of this case.

    `missed` are writes that were lost before, to which those lost now are added.
    """
    with platform.site.connect() as conn:
        acknowledged = dict(ledger.read("claim"))
        kept = {
            row["did"]: str(row["object_id"])
            for row in conn.execute(
                "SELECT did, object_id FROM claims WHERE did LIKE 'did:plc:ledger%'"
            )
        }
        stored = {row["uri"] for row in conn.execute("SELECT uri FROM mentions")}
        doubled = _doubled(conn)
    lost = {did for did, object_id in acknowledged.items() if kept.get(did) != object_id} - missed
    missed |= lost
    answered = Counter(_parents(platform))
    return Audit(
        writes_lost=len(lost),
        mentions_lost=len(set(posted) - stored),
        effects_doubled=doubled,
        replies_doubled=sum(number - 1 for number in answered.values()),
        replies_missing=len(set(posted) - set(answered)),
    )


def _answers(platform: Platform, posted: Iterable[str]) -> list[dict[str, Any]]:
    try:
        with platform.site.connect() as conn:
            return conn.execute(
                "SELECT mention_uri AS uri, extract(epoch FROM created_at)::float8 AS effect_at,"
                " extract(epoch FROM sent_at)::float8 AS sent_at"
                " FROM replies WHERE state = 'sent' AND mention_uri = ANY (%s)",
                (list(posted),),
            ).fetchall()
    except psycopg.OperationalError:
        return []


def _doubled(conn: Connection) -> int:
    """Each claim has one object and one entry in the books, and nobody claims twice a day.

    That nobody does is a key of the table; here it is asked for without the help of an index.
    """
    row = conn.execute(
        "SELECT (SELECT count(*) FROM objects) - (SELECT count(*) FROM claims) AS objects,"
        " (SELECT count(*) FROM transactions WHERE kind = 'claim')"
        "  - (SELECT count(*) FROM claims) AS entries,"
        " (SELECT count(*) - count(DISTINCT (did || '', day + 0)) FROM claims) AS claims"
    ).fetchone()
    assert row is not None
    return sum(abs(number) for number in row.values())


def _parents(platform: Platform) -> Iterator[str]:
    """What each post in the bot's repository answers."""
    cursor: str | None = None
    with httpx.Client(base_url=platform.network.url, timeout=30) as http:
        while True:
            answer = http.get(
                "/xrpc/com.atproto.repo.listRecords",
                params={
                    "repo": platform.network.bot_did,
                    "collection": "app.bsky.feed.post",
                    "limit": "100",
                    **({"cursor": cursor} if cursor else {}),
                },
            ).raise_for_status()
            page = answer.json()
            for record in page["records"]:
                yield record["value"]["reply"]["parent"]["uri"]
            cursor = page.get("cursor")
            if not cursor or not page["records"]:
                return
