"""What became of the mentions, as the stack's database tells it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from app.db import Connection
from app.models import Priority
from tests.bench.figures import quantile
from tests.load.site import Site

_LOOK_SECONDS = 1.0
NO_POINTS = "no write points left"
EXPLAINED = frozenset({"author gone", NO_POINTS})
"""Why a reply may be missing: people who exist nowhere get none, and Bluesky's limits hold."""

_MENTIONS = """
SELECT wanted.uri, mentions.uri IS NOT NULL AS stored, effect.priority, effect.state AS effect,
    effect.last_error AS problem, replies.state AS reply, replies.reason,
    extract(epoch FROM mentions.received_at)::float8 AS received,
    extract(epoch FROM effect.done_at)::float8 AS effect_at,
    extract(epoch FROM coalesce(replies.sent_at, digests.sent_at))::float8 AS sent_at,
    replies.state = 'pending' AND replies.short_at IS NOT NULL AS no_points
FROM wanted
LEFT JOIN mentions USING (uri)
LEFT JOIN jobs AS effect ON effect.key = wanted.uri AND effect.kind = 'command'
LEFT JOIN replies ON replies.mention_uri = wanted.uri
LEFT JOIN digests ON digests.id = replies.digest_id
"""


@dataclass(frozen=True)
class Times:
    """Quantiles of seconds; infinite without any."""

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        return cls(len(seconds), *(quantile(seconds, part) for part in (0.5, 0.95, 0.99)))


@dataclass(frozen=True)
class Row:
    """The mentions of one priority that came one way. `arrival` is until they were stored; the
    others begin there, and include the 2 s and 5 s that lower priorities wait on purpose."""

    way: str
    priority: str
    arrival: Times
    effect: Times
    reply: Times


@dataclass
class Outcome:
    rows: list[Row] = field(default_factory=list)
    mentions: int = 0
    replies: Counter[str] = field(default_factory=Counter)
    """By state, with the reason why one was withheld."""
    lost: int = 0
    """Acknowledged, and not in the database."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """Mentions without an effect or an answer, by what is known of them."""


@dataclass(frozen=True)
class Drain:
    """Seconds from the last arrival until nothing was left to do; None: still not."""

    effects: float | None
    replies: float | None


def drain(site: Site, patience: float, say: Callable[[str], None]) -> Drain:
    """Waits until all jobs of the stack are done, for `patience` seconds at most."""
    began = time.monotonic()
    ended: dict[str, float] = {}
    while (elapsed := time.monotonic() - began) < patience and len(ended) < 2:
        open_jobs = _open_jobs(site)
        if open_jobs is not None:
            for lane in ("effects", "replies"):
                if not open_jobs.get(lane):
                    ended.setdefault(lane, elapsed)
            say(", ".join(f"{count} {lane} to do" for lane, count in open_jobs.items()) or "done")
        if len(ended) < 2:
            time.sleep(_LOOK_SECONDS)
    return Drain(ended.get("effects"), ended.get("replies"))


def find(site: Site, wanted: Mapping[str, Mapping[str, float | None]]) -> Outcome:
    """`wanted` are mentions by way and URI, with the time() each should have arrived (None: the
    time it is stored with)."""
    outcome = Outcome()
    with site.connect() as conn:
        for way, mentions in wanted.items():
            _add(outcome, way, mentions, _rows(conn, mentions))
    return outcome


def _add(
    outcome: Outcome,
    way: str,
    wanted: Mapping[str, float | None],
    rows: Iterable[Mapping[str, Any]],
) -> None:
    times: dict[int, tuple[list[float], list[float], list[float]]] = {}
    for row in rows:
        outcome.mentions += 1
        if not row["stored"]:
            outcome.lost += 1
            continue
        if row["effect"] != "done":
            outcome.unanswered[f"effect {row['effect']}: {row['problem']}"] += 1
            continue
        arrival, effect, reply = times.setdefault(row["priority"], ([], [], []))
        due = wanted[row["uri"]]
        arrival.append(row["received"] - due if due is not None else 0.0)
        effect.append(row["effect_at"] - row["received"])
        if row["sent_at"] is not None:
            reply.append(row["sent_at"] - row["received"])
        state = row["reply"] or "none"
        reason = NO_POINTS if row["no_points"] else row["reason"]
        outcome.replies[f"{state}: {reason}" if reason else state] += 1
        if state not in ("sent", "digested") and reason not in EXPLAINED:
            outcome.unanswered[f"reply {state}: {reason}"] += 1
    outcome.rows += [
        Row(way, Priority(priority).name.lower(), *map(Times.of, found))
        for priority, found in sorted(times.items())
    ]


def _rows(conn: Connection, uris: Iterable[str]) -> list[dict[str, Any]]:
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE wanted (uri text PRIMARY KEY) ON COMMIT DROP")
        with cursor.copy("COPY wanted FROM STDIN") as copy:
            for uri in uris:
                copy.write_row((uri,))
        cursor.execute("ANALYZE wanted")
        return cursor.execute(_MENTIONS).fetchall()


def _open_jobs(site: Site) -> dict[str, int] | None:
    """By lane; None while the database cannot be asked."""
    try:
        with site.connect() as conn:
            rows = conn.execute(
                "SELECT lane, count(*) AS count FROM jobs WHERE state IN ('waiting', 'leased')"
                " GROUP BY lane ORDER BY lane"
            ).fetchall()
    except psycopg.OperationalError:
        return None
    return {row["lane"]: row["count"] for row in rows}
