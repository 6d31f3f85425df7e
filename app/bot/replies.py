"""Replies: stored in the transaction that has the effect, sent by a job of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.bot import budget
from app.bot.bluesky import POST, Bluesky, Ref, stamp
from app.bot.budget import Budget
from app.bot.rkey import reply_rkey
from app.bot.wording import Answer
from app.clock import utcnow
from app.db import Connection, Database, Transaction
from app.domain import picture
from app.domain.objects import alt_text
from app.errors import Reject, Retry
from app.jobs.queue import put
from app.metrics import REPLIES, REPLY_SECONDS
from app.models import Job, Mention, Object, Priority, Reply, ReplyState
from app.repository import mentions, objects, replies, users

KIND = "reply"
# A reply older than this in the index than its mention loses the author's notification.
_SETTLE = timedelta(seconds=1.5)
_MOST_CANDIDATES = 8
# How far the AppView may lag behind the firehose, and how often to look whether it has caught up.
_APPVIEW_LAG = timedelta(minutes=10)
_LOOK_AGAIN = timedelta(seconds=5)
_MENTION = "app.bsky.richtext.facet#mention"

log = structlog.get_logger(__name__)


def compose(answer: Answer, mention: Mention, now: datetime) -> dict[str, Any]:
    """The record of a reply, complete but for the picture."""
    parent = {"uri": mention.uri, "cid": mention.cid}
    return {
        "$type": POST,
        "text": answer.text,
        "facets": answer.facets,
        "langs": ["en"],
        "reply": {"root": mention.reply_root or parent, "parent": parent},
        "createdAt": stamp(now),
    }


def store(
    tx: Transaction,
    answer: Answer,
    mention: Mention,
    account: str,
    priority: Priority,
    *,
    farewell: bool = False,
) -> None:
    """Stores the reply and puts its job; `farewell` is the one that is sent after "stop"."""
    now = utcnow()
    candidates = (reply_rkey(mention.uri, mention.indexed_at, n) for n in range(_MOST_CANDIDATES))
    rkey = next(key for key in candidates if not replies.rkey_taken(tx.conn, account, key))
    added = replies.add(
        tx.conn,
        mention_uri=mention.uri,
        account=account,
        rkey=rkey,
        record=compose(answer, mention, now),
        object_id=answer.object_id,
        gift_id=answer.gift_id,
    )
    if not added:
        return
    wait = timedelta(0)
    if mention.source == "firehose":
        wait = max(wait, mention.received_at + _SETTLE - now)
    put(
        tx,
        kind=KIND,
        key=mention.uri,
        payload={"farewell": True} if farewell else {},
        priority=priority,
        delay=wait,
    )


@dataclass(frozen=True)
class Sent:
    """The reply is on Bluesky."""

    ref: Ref


@dataclass(frozen=True)
class Withheld:
    """The reply must not be sent any more."""

    reason: str
    mention_deleted: bool = False


@dataclass(frozen=True)
class Settled:
    """There is nothing left to do."""


Outcome = Sent | Withheld | Settled


@dataclass(frozen=True)
class _Draft:
    reply: Reply
    mention: Mention
    thing: Object | None
    opted_out: bool
    hushed: frozenset[str]


class ReplyHandler:
    """Sends a reply: `prepare` talks to Bluesky, `apply` records what came of it."""

    def __init__(
        self,
        database: Database,
        bluesky: Bluesky,
        points: Budget,
        png: Callable[[Object], bytes] = picture.png,
    ) -> None:
        self._database = database
        self._bluesky = bluesky
        self._budget = points
        self._png = png

    def prepare(self, job: Job) -> Outcome:
        """Sends the reply, unless something forbids it by now. Raises Retry and Reject.

        Whoever does this again, be it that a worker was killed or that an answer of Bluesky got
        lost, looks first for the post that may be there, and is done when it is.
        """
        with self._database.read(fresh=True) as conn:
            draft = _read(conn, job.key)
        if draft.reply.state is not ReplyState.PENDING:
            return Settled()
        rkey = draft.reply.rkey
        if job.attempts > 1 or job.last_error is not None:
            rkey, existing = self._place(draft)
            if existing is not None:
                return Sent(existing)
        if draft.opted_out and not job.payload.get("farewell"):
            return Withheld("opted out")
        if withheld := self._forbidden(draft.mention):
            return withheld
        self._budget.reserve(budget.PUT, job.priority)
        record = self._complete(draft)
        return Sent(self._bluesky.put_post(rkey, record, self._budget.learn))

    def apply(self, tx: Transaction, job: Job, prepared: Outcome) -> None:
        """Records the outcome in the transaction that finishes the job."""
        match prepared:
            case Sent(ref):
                replies.mark_sent(tx.conn, job.key, ref.uri, ref.cid)
                mention = mentions.get(tx.conn, job.key)
                tx.on_commit(lambda: _measure(job, mention))
            case Withheld(reason, deleted):
                replies.withhold(tx.conn, job.key, reason)
                if deleted:
                    mentions.mark_deleted(tx.conn, job.key)
                log.info("reply withheld", mention=job.key, reason=reason)
                tx.on_commit(lambda: REPLIES.labels(outcome="withheld").inc())
            case Settled():
                pass

    def _place(self, draft: _Draft) -> tuple[str, Ref | None]:
        """The key to write to, and the reply itself where it is there already."""
        mention = draft.mention
        keys = [draft.reply.rkey]
        keys += [reply_rkey(mention.uri, mention.indexed_at, n) for n in range(_MOST_CANDIDATES)]
        for rkey in dict.fromkeys(keys):
            found = self._bluesky.record(f"at://{self._bluesky.did}/{POST}/{rkey}")
            if found is None:
                return rkey, None
            value = found.get("value") or {}
            if (value.get("reply") or {}).get("parent", {}).get("uri") == mention.uri:
                return rkey, Ref(found["uri"], found["cid"])
        raise Reject("every key for this reply is taken by another post")

    def _forbidden(self, mention: Mention) -> Withheld | None:
        """Why the mention may not be answered any more, as Bluesky knows it now."""
        if mention.deleted_at is not None:
            return Withheld("mention deleted")
        author = self._bluesky.author(mention.uri)
        seen = author is not None
        if author is None:
            author = self._bluesky.profile(mention.author_did, fresh=True)
        if author is None and _may_be_too_new(mention):
            raise Retry(_LOOK_AGAIN, "the AppView does not know the author yet")
        if author is None:
            return Withheld("author gone")
        if author.blocked:
            return Withheld("blocked")
        if author.is_bot:
            return Withheld("author is a bot")
        if not seen and self._bluesky.record(mention.uri) is None:
            if _may_be_too_new(mention):
                raise Retry(_LOOK_AGAIN, "the AppView does not know the mention yet")
            return Withheld("mention deleted", mention_deleted=True)
        return None

    def _complete(self, draft: _Draft) -> dict[str, Any]:
        """The record with its picture, and without linking people who want to be left alone."""
        record = dict(draft.reply.record)
        record["facets"] = [
            facet for facet in record.get("facets", []) if not self._unwelcome(facet, draft)
        ]
        if draft.thing is not None:
            blob = self._bluesky.upload_png(self._png(draft.thing))
            record["embed"] = {
                "$type": "app.bsky.embed.images",
                "images": [
                    {
                        "image": blob,
                        "alt": alt_text(draft.thing),
                        "aspectRatio": {"width": 1, "height": 1},
                    }
                ],
            }
        return record

    def _unwelcome(self, facet: dict[str, Any], draft: _Draft) -> bool:
        for did in _mentioned(facet):
            if did == draft.mention.author_did:
                continue
            profile = self._bluesky.profile(did, fresh=True)
            if did in draft.hushed or profile is None or profile.blocked:
                return True
        return False


def _read(conn: Connection, mention_uri: str) -> _Draft:
    reply = replies.get(conn, mention_uri)
    mention = mentions.get(conn, mention_uri)
    if reply is None or mention is None:
        raise Reject("there is no such reply")
    author = users.get(conn, mention.author_did)
    dids = {did for facet in reply.record.get("facets", []) for did in _mentioned(facet)}
    people = [user for did in dids if (user := users.get(conn, did))]
    return _Draft(
        reply,
        mention,
        objects.get(conn, reply.object_id) if reply.object_id else None,
        opted_out=author is not None and author.opted_out,
        hushed=frozenset(user.did for user in people if user.opted_out),
    )


def _may_be_too_new(mention: Mention) -> bool:
    """Whether the AppView may just not have read the mention yet; its notifications it has read."""
    return mention.source == "firehose" and utcnow() - mention.received_at < _APPVIEW_LAG


def _mentioned(facet: dict[str, Any]) -> list[str]:
    return [feature["did"] for feature in facet["features"] if feature.get("$type") == _MENTION]


def _measure(job: Job, mention: Mention | None) -> None:
    REPLIES.labels(outcome="sent").inc()
    if mention is not None:
        REPLY_SECONDS.labels(priority=job.priority.name.lower()).observe(
            seconds_since(mention, job.priority)
        )


def seconds_since(mention: Mention, priority: Priority) -> float:
    """How long the mention has been here, without the delay its priority has on purpose."""
    return max(0.0, (utcnow() - mention.received_at).total_seconds() - _WANTED[priority])


# The delay that each priority has on purpose, in seconds.
_WANTED = {Priority.HIGH: 0.0, Priority.NORMAL: 2.0, Priority.LOW: 5.0}
