"""A Bluesky in memory, for what needs no real one, and a worker that does jobs one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from atproto import client_utils
from atproto_client.models.utils import get_model_as_dict
from psycopg.sql import SQL, Identifier

from app.bot.accounts import Account, Accounts
from app.bot.bluesky import POST, BrokenError, Profile, Ref
from app.bot.budget import Budget
from app.bot.courtesy import Courtesy
from app.bot.digests import DigestHandler
from app.bot.handlers import CommandHandler, Handler
from app.bot.inbox import Bot, read_mention, store
from app.bot.replies import ReplyHandler
from app.bot.rkey import encode_tid
from app.bot.sessions import RefusedError
from app.cache import Cache
from app.clock import utcnow
from app.db import Database
from app.jobs.queue import Queue, finish
from app.models import Job, Lane, Mention, Object, Reply
from app.repository import replies
from app.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n"
_numbers = itertools.count(1)


@dataclass
class FakeBluesky:
    """The account's server as the handlers see it."""

    did: str = "did:plc:bot"
    handle: str = "etcetera.test"
    people: dict[str, Profile] = field(default_factory=dict)
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    foes: list[set[str]] = field(default_factory=list)
    written: int = 0
    uploads: int = 0
    fail: Exception | None = None
    courtesy: Courtesy = field(default_factory=Courtesy)
    refused: bool = False

    def join(self, name: str, **changes: Any) -> Profile:
        did = f"did:plc:{name}"
        profile = Profile(did, f"{name}.test", name.title(), False, False)
        self.people[did] = Profile(**{**profile.__dict__, **changes})
        return self.people[did]

    def resolve_handle(self, handle: str) -> str | None:
        return next((p.did for p in self.people.values() if p.handle == handle.lower()), None)

    def profile(self, actor: str, *, fresh: bool = False) -> Profile | None:
        del fresh
        return self.people.get(actor)

    def apart(self, one: str, other: str) -> bool:
        return {one, other} in self.foes

    def barred(self, dids: Collection[str]) -> set[str]:
        if self.refused:
            raise RefusedError(timedelta(minutes=2), "suspended")
        return {did for did in dids if self.apart(self.did, did)}

    def author(self, uri: str) -> Profile | None:
        """As the AppView answers getPosts: nothing where either blocks the other."""
        person = self.people.get(uri.removeprefix("at://").split("/")[0])
        hidden = person is None or person.blocked or uri not in self.posts
        return None if hidden else person

    def record(self, uri: str) -> dict[str, Any] | None:
        return self.posts.get(uri)

    def upload_png(self, picture: bytes) -> dict[str, Any]:
        assert picture.startswith(PNG)
        self.uploads += 1
        return {"$type": "blob", "ref": {"$link": "bafy"}, "mimeType": "image/png", "size": 8}

    def put_post(
        self, rkey: str, record: Mapping[str, Any], learn: Callable[[Mapping[str, str]], None]
    ) -> Ref:
        if self.refused:
            raise RefusedError(timedelta(minutes=2), "suspended")
        if self.fail:
            raise self.fail
        learn({})
        uri = f"at://{self.did}/{POST}/{rkey}"
        if self.posts.get(uri, {"value": record})["value"] != record:
            raise BrokenError("another record has this key")
        self.written += 1
        self.posts[uri] = {"uri": uri, "cid": "bafyreply", "value": dict(record)}
        return Ref(uri, "bafyreply")


class Exchange:
    """A bot on a fake Bluesky and a real database, driven job by job."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        bluesky: FakeBluesky,
        couriers: Sequence[FakeBluesky] = (),
    ) -> None:
        self.database = database
        self.bluesky = bluesky
        self.bot = Bot(
            bluesky.did, bluesky.handle, {courier.did: courier.handle for courier in couriers}
        )
        accounts = Accounts(
            [
                Account(account, Budget(database, settings, account.handle))  # type: ignore[arg-type]
                for account in (bluesky, *couriers)
            ]
        )
        self.accounts = accounts
        self.cache = Cache.open(settings)
        self.handlers: dict[str, Handler] = {
            "command": CommandHandler(settings, database, accounts, self.cache),
            "reply": ReplyHandler(database, accounts),
            "digest": DigestHandler(database, accounts, settings.public_url),
        }

    def post(
        self,
        name: str,
        text: str | client_utils.TextBuilder,
        *,
        answering: str | None = None,
        source: str = "notifications",
        at: datetime | None = None,
    ) -> str:
        """Somebody's post arrives; returns its URI."""
        if f"did:plc:{name}" not in self.bluesky.people:
            self.bluesky.join(name)
        if isinstance(text, str):
            text = self.rich(text)
        at = at or utcnow()
        rkey = encode_tid(int(at.timestamp() * 1_000_000), next(_numbers) % 1024)
        uri = f"at://did:plc:{name}/{POST}/{rkey}"
        record: dict[str, Any] = {
            "$type": POST,
            "text": text.build_text(),
            "facets": [get_model_as_dict(facet) for facet in text.build_facets()],
        }
        if answering:
            ref = {"uri": answering, "cid": "bafy"}
            record["reply"] = {"root": ref, "parent": ref}
        self.bluesky.posts[uri] = {"uri": uri, "cid": "bafymention", "value": record}
        handle = self.bluesky.people[f"did:plc:{name}"].handle
        self.arrive(read_mention(uri, "bafymention", handle, record, at, source))
        return uri

    def rich(self, text: str) -> client_utils.TextBuilder:
        """Text whose words "@bot" and "@NAME" of known people are mentions."""
        built = client_utils.TextBuilder()
        for number, word in enumerate(text.split(" ")):
            if number:
                built.text(" ")
            did = f"did:plc:{word[1:]}"
            if word.startswith("@") and (did in self.bluesky.people or did == self.bot.did):
                handle = self.bot.handle if did == self.bot.did else self.bluesky.people[did].handle
                built.mention(f"@{handle}", did)
            else:
                built.text(word)
        return built

    def arrive(self, mention: Mention) -> int:
        with self.database.transaction() as tx:
            return store(tx, [mention], self.bot, utcnow() - timedelta(hours=1))

    def make_due(self) -> None:
        """Ends the delays and pauses of all jobs that wait."""
        with self.database.transaction() as tx:
            tx.conn.execute("UPDATE jobs SET run_at = now() WHERE state = 'waiting'")

    def work(self) -> list[Job]:
        """Does all open jobs, due or not; returns them. What a handler raises is raised."""
        done: list[Job] = []
        while True:
            self.make_due()
            queue = Queue(self.database)
            jobs = [job for lane in Lane for job in queue.lease(lane, 10, "test", 30)]
            if not jobs:
                return done
            for job in jobs:
                prepared = self.handlers[job.kind].prepare(job)
                with self.database.transaction() as tx:
                    self.handlers[job.kind].apply(tx, job, prepared)
                    finish(tx, job)
                done.append(job)

    def reply(self, mention_uri: str) -> Reply | None:
        with self.database.read(fresh=True) as conn:
            return replies.get(conn, mention_uri)

    def say(
        self, name: str, text: str | client_utils.TextBuilder, *, answering: str | None = None
    ) -> str:
        """Posts, works, and returns what the bot said on Bluesky ("" for nothing)."""
        reply = self.hear(name, text, answering=answering)
        return reply.record["text"] if reply and reply.uri else ""

    def hear(
        self, name: str, text: str | client_utils.TextBuilder, *, answering: str | None = None
    ) -> Reply | None:
        uri = self.post(name, text, answering=answering)
        self.work()
        return self.reply(uri)

    def count(self, table: str) -> int:
        with self.database.read() as conn:
            row = conn.execute(
                SQL("SELECT count(*) AS n FROM {}").format(Identifier(table))
            ).fetchone()
        assert row is not None
        return int(row["n"])

    def owned(self, name: str) -> list[Object]:
        from app.repository import objects

        with self.database.read() as conn:
            return objects.by_owner(conn, f"did:plc:{name}")


@pytest.fixture
def bluesky() -> FakeBluesky:
    return FakeBluesky()


@pytest.fixture
def exchange(settings: Settings, database: Database, bluesky: FakeBluesky) -> Iterator[Exchange]:
    made = Exchange(settings, database, bluesky)
    yield made
    made.cache.close()
