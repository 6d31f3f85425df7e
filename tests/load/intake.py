"""Mentions stored as the reader of mentions stores them, by people who exist in the plan only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import psycopg

from app.bot import inbox
from app.bot.rkey import encode_tid
from app.db import Database
from app.models import Mention
from tests.load.plan import Event
from tests.load.sights import Sights, Thing

SOURCE = "load"
_PAUSE = 0.05  # seconds between two looks at what is due
_BATCH = 50  # mentions a page of notifications brings at a busy time
_AGAIN = 0.2  # seconds until what could not be stored is tried again


class Intake:
    """`stored` are the mentions acknowledged by the database, by URI with their command.

    DIDs and URIs follow from the seed and `label`, which tells apart runs against one database.
    """

    def __init__(
        self,
        database: Database,
        bot: inbox.Bot,
        takers: Sequence[tuple[str, str]],
        seed: int,
        label: str,
    ) -> None:
        self._database = database
        self._bot = bot
        self._takers = takers
        self._chance = Random(f"{seed}/intake")
        self._label = label
        self._given: set[str] = set()
        self._newcomers = 0
        self._number = 0
        self.stored: dict[str, str] = {}
        self.errors: Counter[str] = Counter()
        self.late = 0.0
        """Seconds by which the generator itself was late at worst."""

    def run(self, events: Sequence[Event], began: float, sights: Sights) -> None:
        """Stores each mention at its time; returns when the last is stored. `began` as time().

        What cannot be stored is tried until it can: a mention lies on Bluesky until it is read.
        """
        done = 0
        while done < len(events):
            elapsed = time.time() - began
            due = [event for event in events[done : done + _BATCH] if event.at <= elapsed]
            if not due:
                time.sleep(_PAUSE)
                continue
            self.late = max(self.late, elapsed - due[0].at)
            mentions = [self._mention(event, began, sights) for event in due]
            self._store(mentions)
            self.stored |= {
                mention.uri: event.what for mention, event in zip(mentions, due, strict=True)
            }
            done += len(due)

    def _store(self, mentions: Sequence[Mention]) -> None:
        while True:
            try:
                with self._database.transaction() as tx:
                    inbox.store(tx, mentions, self._bot, mentions[0].indexed_at)
            except psycopg.OperationalError as error:
                self.errors[f"store: {type(error).__name__}"] += 1
                time.sleep(_AGAIN)
            else:
                return

    def _mention(self, event: Event, began: float, sights: Sights) -> Mention:
        due = datetime.fromtimestamp(began + event.at, UTC)
        self._number += 1
        number, words, facets = self._newcomers, event.what, []
        if event.what == "claim":
            self._newcomers += 1
        elif event.what == "gift":
            handle, did = self._chance.choice(self._takers)
            thing = self._gift(sights)
            # Before anybody has anything, people give away what they would like to have.
            words = f"give {thing.name if thing else 'the golden teapot'} to @{handle}"
            facets = [_facet(f"@{self._bot.handle} {words}", handle, did)]
            number = int(thing.owner_did[-7:]) if thing else 0
        else:
            number = self._chance.randrange(self._newcomers + 1)
        text = f"@{self._bot.handle} {words}"
        did = f"did:plc:{self._label}{number:07}"
        micros = int((began + event.at) * 1_000_000)
        return Mention(
            uri=f"at://{did}/app.bsky.feed.post/{encode_tid(micros, self._number % 1024)}",
            cid="bafyreiload",
            author_did=did,
            author_handle=f"{self._label}-{number:07}.test",
            text=text,
            facets=[_facet(text, self._bot.handle, self._bot.did), *facets],
            reply_root=None,
            reply_parent=None,
            source=SOURCE,
            indexed_at=due,
            received_at=due,
            deleted_at=None,
        )

    def _gift(self, sights: Sights) -> Thing | None:
        """Something that one of our people has and has not offered yet."""
        for thing in sights.things:
            if self._label in thing.owner_did and thing.owner_did not in self._given:
                self._given.add(thing.owner_did)
                return thing
        return None


def _facet(text: str, handle: str, did: str) -> dict[str, Any]:
    start = text.encode().index(f"@{handle}".encode())
    return {
        "index": {"byteStart": start, "byteEnd": start + len(handle) + 1},
        "features": [{"$type": "app.bsky.richtext.facet#mention", "did": did}],
    }
