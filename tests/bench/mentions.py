"""Mentions as the reader of mentions stores them, by people nobody has seen before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

import psycopg
from psycopg.rows import dict_row

from app.bot import inbox
from app.bot.rkey import encode_tid
from app.clock import utcnow
from app.db import Connection, Transaction
from app.models import Mention

BATCH = 50  # mentions a page of notifications brings at a busy time
BOT = inbox.Bot("did:plc:benchbot", "etcetera.test")
_TEXT = f"@{BOT.handle} claim"
_FACETS = [
    {
        "index": {"byteStart": 0, "byteEnd": len(BOT.handle) + 1},
        "features": [{"$type": "app.bsky.richtext.facet#mention", "did": BOT.did}],
    }
]
# A mention from a firehose is answered a moment after its arrival. An arrival to come puts the
# reply off until nobody measures any more: nothing is sent to Bluesky for people who do not exist.
_ANSWERED_IN = timedelta(hours=6)


def claims(label: str, count: int) -> list[Mention]:
    """`count` people claim. `label` makes them different from all others."""
    now = utcnow()
    micros = int(now.timestamp() * 1_000_000)
    return [
        Mention(
            uri=f"at://did:plc:{label}{n:05}/app.bsky.feed.post/{encode_tid(micros + n, 0)}",
            cid="bafyreibench",
            author_did=f"did:plc:{label}{n:05}",
            author_handle=f"{label}{n:05}.test",
            text=_TEXT,
            facets=_FACETS,
            reply_root=None,
            reply_parent=None,
            source="firehose",
            indexed_at=now,
            received_at=now + _ANSWERED_IN,
            deleted_at=None,
        )
        for n in range(count)
    ]


def connect(database_url: str) -> Connection:
    return psycopg.connect(database_url, row_factory=dict_row)


def store(conn: Connection, arrived: Sequence[Mention]) -> None:
    """Stores mentions and their jobs, a page in a transaction, as the reader of mentions does."""
    for start in range(0, len(arrived), BATCH):
        with conn.transaction():
            inbox.store(Transaction(conn), arrived[start : start + BATCH], BOT, utcnow())


@contextmanager
def trickle(database_url: str, label: str, pause: float) -> Iterator[Callable[[], int]]:
    """A claim every `pause` seconds; gives how many there were."""
    stop = Event()
    stored = 0

    def run() -> None:
        nonlocal stored
        with connect(database_url) as conn:
            while not stop.wait(pause):
                store(conn, claims(f"{label}x{stored}x", 1))
                stored += 1

    thread = Thread(target=run, name="trickle")
    thread.start()
    try:
        yield lambda: stored
    finally:
        stop.set()
        thread.join()
