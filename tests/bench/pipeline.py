"""Claims per second through the bot, against a bare loop of the same SQL."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.db import Connection
from components.bluesky.people import Person
from tests.bench import mentions, replay
from tests.bench.figures import Spread, quantile, ratio
from tests.bench.stacks import Stack

PATIENCE = 120.0  # seconds until claims that are not done count as lost
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Effort:
    rounds: int
    claims: int
    replies: int
    """How many are sent to Bluesky; 0 leaves that out."""


@dataclass(frozen=True)
class Row:
    """One way to do a claim. `statements`: SQL statements of a claim, without the queue's."""

    way: str
    rate: Spread
    to_bare: Spread
    """Against the bare loop on one connection."""
    to_bare_wide: Spread
    """Against the bare loop on as many connections as phase 1 has worker threads."""


@dataclass(frozen=True)
class Sending:
    """Replies that went to the local Bluesky network. Seconds are from mention to reply."""

    replies: int
    rate: float
    p50: float
    p95: float


@dataclass(frozen=True)
class Report:
    claims: int
    statements: int
    connections: int
    rows: list[Row]
    phase1_to_phase0: Spread
    sending: Sending | None


def run(stacks: Sequence[Stack], effort: Effort, say: Callable[[str], None]) -> Report:
    """The last stack's PostgreSQL does the bare loop, too. All take turns."""
    last = stacks[-1]
    size = last.phase.workload
    wide = size.workers * size.worker_threads
    bare, bare_wide = "bare loop, 1 connection", f"bare loop, {wide} connections"
    rates: defaultdict[str, list[float]] = defaultdict(list)
    statements = 0
    for number in range(effort.rounds):
        where = f"bot: round {number + 1} of {effort.rounds}"
        for way, connections in ((bare, 1), (bare_wide, wide)):
            say(f"{where}, {way}")
            arrived = mentions.claims(f"b{number}c{connections}x", effort.claims)
            scripts = replay.record(last.database_url, arrived)
            statements = len(scripts[0])
            rates[way].append(replay.replay(last.database_url, scripts, connections))
        for stack in stacks:
            say(f"{where}, {stack.name}")
            rates[stack.name].append(_through(stack, f"p{number}x", effort.claims))
    sending = None
    if effort.replies:
        say(f"bot: {effort.replies} replies to Bluesky")
        sending = _send(last, effort.replies)
    return Report(
        claims=effort.claims,
        statements=statements,
        connections=wide,
        rows=[
            Row(way, Spread.of(found), ratio(found, rates[bare]), ratio(found, rates[bare_wide]))
            for way, found in rates.items()
        ],
        phase1_to_phase0=ratio(rates[last.name], rates[stacks[0].name]),
        sending=sending,
    )


def _through(stack: Stack, label: str, count: int) -> float:
    """Claims per second, from the first mention stored to the last reply recorded.

    The stack's own workers do them, as they are deployed.
    """
    arrived = mentions.claims(label, count)
    with mentions.connect(stack.database_url) as conn:
        begin = conn.execute("SELECT clock_timestamp() AS at").fetchone()
        conn.commit()
        mentions.store(conn, arrived)
        uris = [mention.uri for mention in arrived]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            row = conn.execute(
                "SELECT count(*) AS done, max(done_at) AS at FROM jobs"
                " WHERE kind = 'command' AND key = ANY (%s) AND state = 'done'",
                (uris,),
            ).fetchone()
            conn.commit()
            assert begin
            assert row
            if row["done"] == count:
                _check(conn, uris)
                return float(count / (row["at"] - begin["at"]).total_seconds())
    raise RuntimeError(f"{stack.name}: {count} claims are not done after {PATIENCE:.0f} s")


def _check(conn: Connection, uris: Sequence[str]) -> None:
    """What is fast and wrong is not worth a figure."""
    row = conn.execute(
        "SELECT (SELECT count(*) FROM claims WHERE mention_uri = ANY (%(uris)s)) AS claims,"
        " (SELECT count(*) FROM replies WHERE mention_uri = ANY (%(uris)s)) AS replies",
        {"uris": list(uris)},
    ).fetchone()
    if row != {"claims": len(uris), "replies": len(uris)}:
        raise RuntimeError(f"{len(uris)} mentions gave {row}")


def _send(stack: Stack, count: int) -> Sending:
    """People of the stack's network post; the clock runs from the first post to the last reply."""
    each = 8  # below the ten commands a minute at which the bot asks people to slow down
    people = -(-count // each)

    def sign_up(number: int) -> Person:
        return Person.sign_up(stack.bluesky_url, f"bench-{number}.test", f"password-{number}")

    def post(person: Person) -> None:
        for _ in range(each):
            person.mention(bot, stack.bot, "claim")

    with ThreadPoolExecutor(4) as pool, mentions.connect(stack.database_url) as conn:
        crowd = list(pool.map(sign_up, range(people)))
        bot = crowd[0].resolve(stack.bot)
        begin = time.time()
        list(pool.map(post, crowd))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            rows = conn.execute(
                "SELECT extract(epoch FROM sent_at)::float8 AS at,"
                " extract(epoch FROM sent_at - received_at)::float8 AS took"
                " FROM replies JOIN mentions ON mentions.uri = replies.mention_uri"
                " WHERE state = 'sent'"
            ).fetchall()
            conn.commit()
            if len(rows) >= people * each:
                break
        for person in crowd:
            person.close()
    took = [row["took"] for row in rows]
    end = max((row["at"] for row in rows), default=time.time())
    return Sending(len(rows), len(rows) / (end - begin), quantile(took, 0.5), quantile(took, 0.95))
