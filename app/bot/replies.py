"""Replies: stored in the transaction that has the effect, sent by a job of their own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.bot import budget, digests
from app.bot.accounts import Account, Accounts
from app.bot.bluesky import POST, Bluesky, Ref, stamp
from app.bot.budget import Spent
from app.bot.consent import Withheld, forbidden, mentioned, welcome
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
    rkey = _key(tx.conn, mention, account)
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
        accounts: Accounts,
        png: Callable[[Object], bytes] = picture.png,
    ) -> None:
        self._database = database
        self._accounts = accounts
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
        begun = draft.reply.begun_at is not None or job.attempts > 1
        rkey = draft.reply.rkey
        if begun:
            rkey, existing = _place(draft, self._accounts[draft.reply.account].bluesky)
            if existing is not None:
                return Sent(existing)
        farewell = bool(job.payload.get("farewell"))
        if draft.opted_out and not farewell:
            return Withheld("opted out")
        if withheld := forbidden(self._accounts.main, draft.mention):
            return withheld
        try:
            account, rkey = self._reserve(draft, job.priority, rkey, begun)
        except Spent:
            if not begun and not farewell:
                digests.ask(self._database, draft.reply)
            raise
        record = self._complete(draft, account.bluesky)
        return Sent(account.bluesky.put_post(rkey, record, account.budget.learn))

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

    def _reserve(
        self, draft: _Draft, priority: Priority, rkey: str, begun: bool
    ) -> tuple[Account, str]:
        """The account that sends the reply, and its key there.

        That is the account the reply was stored for; while it was never tried and there are no
        points for it, it may become another one. Raises Spent when no account has points.
        """
        home = draft.reply.account
        candidates = [self._accounts[home]] if begun else self._accounts.in_turn(home)
        shortages: list[Spent] = []
        for account in candidates:
            key = rkey if account.handle == home else self._free_key(draft.mention, account.handle)

            def begin(tx: Transaction, handle: str = account.handle, key: str = key) -> None:
                if not replies.begin(tx.conn, draft.mention.uri, handle, key):
                    raise Retry(timedelta(seconds=1), "somebody else sends this reply")

            try:
                account.budget.reserve(budget.PUT, priority, begin)
            except Spent as spent:
                shortages.append(spent)
            else:
                return account, key
        raise min(shortages, key=lambda spent: spent.after)

    def _free_key(self, mention: Mention, account: str) -> str:
        with self._database.read(fresh=True) as conn:
            return _key(conn, mention, account)

    def _complete(self, draft: _Draft, bluesky: Bluesky) -> dict[str, Any]:
        """The record with its picture, and without linking people who want to be left alone."""
        record = dict(draft.reply.record)
        record["facets"] = welcome(
            record.get("facets", []), draft.hushed, bluesky, draft.mention.author_did
        )
        if draft.thing is not None:
            blob = bluesky.upload_png(self._png(draft.thing))
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


def _key(conn: Connection, mention: Mention, account: str) -> str:
    """The first of the mention's keys that no other reply of the account has."""
    return next(key for key in _keys(mention) if not replies.rkey_taken(conn, account, key))


def _keys(mention: Mention) -> Iterator[str]:
    return (reply_rkey(mention.uri, mention.indexed_at, n) for n in range(_MOST_CANDIDATES))


def _place(draft: _Draft, bluesky: Bluesky) -> tuple[str, Ref | None]:
    """The key to write to, and the reply itself where it is there already."""
    mention = draft.mention
    for rkey in dict.fromkeys([draft.reply.rkey, *_keys(mention)]):
        found = bluesky.record(f"at://{bluesky.did}/{POST}/{rkey}")
        if found is None:
            return rkey, None
        value = found.get("value") or {}
        if (value.get("reply") or {}).get("parent", {}).get("uri") == mention.uri:
            return rkey, Ref(found["uri"], found["cid"])
    raise Reject("every key for this reply is taken by another post")


def _read(conn: Connection, mention_uri: str) -> _Draft:
    reply = replies.get(conn, mention_uri)
    mention = mentions.get(conn, mention_uri)
    if reply is None or mention is None:
        raise Reject("there is no such reply")
    author = users.get(conn, mention.author_did)
    dids = {did for facet in reply.record.get("facets", []) for did in mentioned(facet)}
    people = [user for did in dids if (user := users.get(conn, did))]
    return _Draft(
        reply,
        mention,
        objects.get(conn, reply.object_id) if reply.object_id else None,
        opted_out=author is not None and author.opted_out,
        hushed=frozenset(user.did for user in people if user.opted_out),
    )


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
