"""Decides how notifications are read: whatever the server lists, each mention is stored once, in
order, and one odd entry does not hold up the rest. Pages come from a list; PostgreSQL is real."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.bot.bluesky import POST, stamp
from app.bot.notifications import Notifications
from app.clock import utcnow
from app.db import Database
from app.errors import Retry
from app.models import Priority
from app.repository import cursors, mentions

pytestmark = pytest.mark.integration
BOT = "did:plc:bot"


class Listing:
    """The notifications of an account, newest first, in pages of 100."""

    did = BOT
    handle = "etcetera.test"

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.pages = 0
        self.seen = 0
        self.down = False

    def notifications(self, cursor: str | None, limit: int = 100) -> dict[str, Any]:
        if self.down:
            raise Retry(timedelta(seconds=1), "down")
        self.pages += 1
        start = int(cursor or 0)
        more = {"cursor": str(start + limit)} if len(self.items) > start + limit else {}
        return {"notifications": self.items[start : start + limit], **more}

    def update_seen(self, seen_at: object) -> None:
        del seen_at
        self.seen += 1

    def add(self, name: str, text: str, *, ago: float = 0, at: int = 0, **changes: Any) -> str:
        """A mention of the bot, put at position `at` of the list."""
        did = f"did:plc:{name}"
        uri = f"at://{did}/{POST}/3l{len(self.items):011d}"
        facet = {
            "index": {"byteStart": 0, "byteEnd": 4},
            "features": [{"$type": "app.bsky.richtext.facet#mention", "did": BOT}],
        }
        item = {
            "uri": uri,
            "cid": "bafy",
            "reason": "mention",
            "author": {"did": did, "handle": f"{name}.test"},
            "record": {"text": f"@bot {text}", "facets": [facet]},
            "indexedAt": stamp(utcnow() - timedelta(seconds=ago)),
        }
        self.items.insert(at, item | changes)
        return uri


@pytest.fixture
def listing() -> Listing:
    return Listing()


@pytest.fixture
def notifications(listing: Listing, database: Database) -> Notifications:
    return Notifications(listing, database)  # type: ignore[arg-type]


def jobs(database: Database) -> list[dict[str, Any]]:
    with database.read() as conn:
        return conn.execute("SELECT kind, key, priority FROM jobs ORDER BY id").fetchall()


def test_each_mention_becomes_one_job_with_the_priority_of_its_command(
    notifications: Notifications, listing: Listing, database: Database
) -> None:
    claim, gift, plea = (
        listing.add("alice", "claim"),
        listing.add("alice", "gift Lamp to @bob.test"),
        listing.add("alice", "help"),
    )
    assert notifications.poll() == 3
    assert notifications.poll() == 0
    assert [(job["key"], job["priority"]) for job in jobs(database)] == [
        (claim, Priority.HIGH),
        (gift, Priority.NORMAL),
        (plea, Priority.LOW),
    ]


def test_many_pages_are_read_and_stored_oldest_first(
    notifications: Notifications, listing: Listing, database: Database
) -> None:
    uris = [listing.add("alice", "claim", ago=600 - number) for number in range(350)]
    assert notifications.poll() == 350
    assert listing.pages == 4
    assert [job["key"] for job in jobs(database)] == uris


def test_a_quiet_poll_reads_one_page(notifications: Notifications, listing: Listing) -> None:
    for number in range(350):
        listing.add("alice", "claim", ago=600 - number)
    notifications.poll()
    listing.pages = 0
    listing.add("bob", "claim")
    assert notifications.poll() == 1
    assert listing.pages == 2  # the page with the news, and one that shows that it was all
    listing.pages = 0
    assert notifications.poll() == 0
    assert listing.pages == 1


def test_a_restart_stores_nothing_twice(
    notifications: Notifications, listing: Listing, database: Database
) -> None:
    listing.add("alice", "claim")
    notifications.poll()
    listing.add("bob", "claim")
    assert Notifications(listing, database).poll() == 1  # type: ignore[arg-type]


def test_a_post_that_sorts_behind_old_ones_is_found_by_a_sweep(
    listing: Listing, database: Database
) -> None:
    for number in range(250):
        listing.add("alice", "claim", ago=600 - number)
    Notifications(listing, database).poll()  # type: ignore[arg-type]
    late = listing.add("mallory", "claim", ago=560, at=200)
    assert Notifications(listing, database).poll() == 1  # type: ignore[arg-type]
    assert jobs(database)[-1]["key"] == late


def test_odd_entries_do_not_hold_up_the_rest(
    notifications: Notifications, listing: Listing, database: Database
) -> None:
    listing.add("alice", "claim")
    listing.items += [None, 7, "x", [], {}, {"uri": 5}, {"uri": "at://x", "author": {}}]
    odd: list[dict[str, Any]] = [
        {"record": None},
        {"record": {"text": None}},
        {"record": {"text": "\ud800\x00 claim", "facets": "none"}, "cid": "\x00"},
        {"uri": "https://example.com"},
        {"author": "mallory"},
        {"author": {"did": "did:plc:nohandle", "handle": None}},
        {"indexedAt": "yesterday"},
        {"indexedAt": "9999-99-99T00:00:00Z"},
        {"cid": None},
    ]
    for number, changes in enumerate(odd):
        listing.add(f"odd{number}", "claim", **changes)
    last = listing.add("bob", "claim")
    assert notifications.poll() >= 2
    assert last in [job["key"] for job in jobs(database)]


def test_our_own_posts_and_those_of_bots_are_left_alone(
    notifications: Notifications, listing: Listing
) -> None:
    listing.add("bot", "claim")
    label = {"val": "bot", "src": "did:plc:robot"}
    author = {"did": "did:plc:robot", "handle": "robot.test", "labels": [label]}
    listing.add("robot", "claim", author=author)
    assert notifications.poll() == 0


def test_a_reply_counts_only_below_one_of_our_posts(
    notifications: Notifications, listing: Listing
) -> None:
    def below(uri: str) -> dict[str, Any]:
        ref = {"uri": uri, "cid": "bafy"}
        return {"text": "accept", "reply": {"root": ref, "parent": ref}}

    listing.add("alice", "", reason="reply", record=below(f"at://{BOT}/{POST}/3lb2abcdefg2x"))
    listing.add("bob", "", reason="reply", record=below(f"at://did:plc:x/{POST}/3lb2abcdefg2x"))
    assert notifications.poll() == 1


def test_the_read_mark_moves_only_after_something_was_stored(
    notifications: Notifications, listing: Listing
) -> None:
    notifications.poll()
    assert listing.seen == 0
    listing.add("alice", "claim")
    notifications.poll()
    assert listing.seen == 1


def test_an_outage_loses_nothing(
    notifications: Notifications, listing: Listing, database: Database
) -> None:
    listing.add("alice", "claim")
    listing.down = True
    with pytest.raises(Retry):
        notifications.poll()
    with database.read() as conn:
        assert cursors.get(conn, "notifications") is None
    listing.down = False
    assert notifications.poll() == 1


def test_a_huge_post_is_cut_before_it_is_stored(
    notifications: Notifications, listing: Listing, database: Database
) -> None:
    uri = listing.add("alice", "claim " + "é" * 1_000_000)
    assert notifications.poll() == 1
    with database.read() as conn:
        stored = mentions.get(conn, uri)
    assert stored is not None
    assert len(stored.text.encode()) <= 4_000
