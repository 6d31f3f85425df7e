"""Replies: stored in the transaction that has the effect, sent by a job of their own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.bot import budget, digests
from app.bot.accounts import Account, Accounts
from app.bot.bluesky import POST, Bluesky, Limited, Ref, place, stamp
from app.bot.budget import Spent
from app.bot.consent import Withheld, forbidden, mentioned, welcome
from app.bot.rkey import reply_rkey
from app.bot.sessions import RefusedError
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
_BY_ANOTHER = timedelta(seconds=1)

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
        payload={"brief": answer.brief, "more": answer.more}
        | ({"farewell": True} if farewell else {}),
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

    @property
    def begun(self) -> bool:
        """Whether it may be on Bluesky already."""
        return self.reply.begun_at is not None


@dataclass(frozen=True)
class _Turn:
    """Who sends a reply now, and under which key; points are reserved for it."""

    account: Account
    rkey: str
    begun_at: datetime


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
        self._no_pictures_before = utcnow()

    def prepare(self, job: Job) -> Outcome:
        """Sends the reply, unless something forbids it by now. Raises Retry and Reject.

        Whoever does this again, be it that a worker was killed or that an answer of Bluesky got
        lost, looks first for the post that may be there, and is done when it is.
        """
        self._accounts.main.courtesy.check()
        with self._database.read(fresh=True) as conn:
            draft = _read(conn, job.key)
        if draft.reply.state is not ReplyState.PENDING:
            return Settled()
        rkey = draft.reply.rkey
        if draft.begun:
            rkey, existing = _place(draft, self._accounts[draft.reply.account].bluesky)
            if existing is not None:
                return Sent(existing)
        farewell = bool(job.payload.get("farewell"))
        if draft.opted_out and not farewell:
            return Withheld("opted out")
        if withheld := forbidden(self._accounts.main, draft.mention):
            return withheld
        try:
            turn = self._reserve(draft, job.priority, rkey)
        except Spent:
            if not draft.begun and not farewell:
                digests.ask(self._database, draft.reply)
            raise
        if turn is None:
            return Withheld("blocked")
        try:
            return Sent(self._send(draft, turn))
        except (Limited, RefusedError) as refusal:
            if not draft.begun and self._accounts.another_may(refusal):
                with self._database.transaction() as tx:
                    replies.put_back(tx.conn, job.key, turn.begun_at)
                raise Retry(_BY_ANOTHER, refusal.reason) from refusal
            raise

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

    def _reserve(self, draft: _Draft, priority: Priority, rkey: str) -> _Turn | None:
        """Who sends the reply; None where its author blocks the only account that may.

        That is the account the reply was stored for. While it was never tried, another one may
        stand in: for want of points, where that account cannot be used, or where the author blocks
        it. Raises Spent when no account has points.
        """
        home, mention = draft.reply.account, draft.mention
        if draft.begun:
            if self._accounts.barred(self._accounts[home], [mention.author_did]):
                return None
            return self._reserve_of(self._accounts[home], mention, priority, rkey)
        shortages: list[Spent] = []
        for account in self._accounts.able(home, mention.author_did):
            key = rkey if account.handle == home else self._free_key(mention, account.handle)
            try:
                return self._reserve_of(account, mention, priority, key)
            except Spent as spent:
                shortages.append(spent)
        raise min(shortages, key=lambda spent: spent.after)

    def _reserve_of(
        self, account: Account, mention: Mention, priority: Priority, rkey: str
    ) -> _Turn:
        """Takes points and notes in the same transaction that the account sends the reply."""

        def begin(tx: Transaction) -> _Turn:
            begun_at = replies.begin(tx.conn, mention.uri, account.handle, rkey)
            if begun_at is None:
                raise Retry(_BY_ANOTHER, "somebody else sends this reply")
            return _Turn(account, rkey, begun_at)

        return account.budget.reserve_and(budget.PUT, priority, begin)

    def _send(self, draft: _Draft, turn: _Turn) -> Ref:
        bluesky = turn.account.bluesky
        record = self._complete(draft, bluesky)
        return bluesky.put_post(turn.rkey, record, turn.account.budget.learn)

    def _free_key(self, mention: Mention, account: str) -> str:
        with self._database.read(fresh=True) as conn:
            return _key(conn, mention, account)

    def _complete(self, draft: _Draft, bluesky: Bluesky) -> dict[str, Any]:
        """The record with its picture, and without linking people who want to be left alone."""
        record = dict(draft.reply.record)
        record["facets"] = welcome(
            record.get("facets", []), draft.hushed, bluesky, draft.mention.author_did
        )
        blob = self._upload(draft.thing, bluesky) if draft.thing is not None else None
        if draft.thing is not None and blob is not None:
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

    def _upload(self, thing: Object, bluesky: Bluesky) -> dict[str, Any] | None:
        """The picture's blob. Without one where no more may be uploaded: words do without, too.

        A server takes 1,000 pictures a day from one address, fewer than there may be claims.
        """
        if utcnow() < self._no_pictures_before:
            return None
        try:
            return bluesky.upload_png(self._png(thing))
        except Limited as limit:
            self._no_pictures_before = utcnow() + limit.after
            log.warning("no more pictures for now", seconds=limit.after.total_seconds())
            return None


def _key(conn: Connection, mention: Mention, account: str) -> str:
    """The first of the mention's keys that no other reply of the account has."""
    return next(key for key in _keys(mention) if not replies.rkey_taken(conn, account, key))


def _keys(mention: Mention) -> Iterator[str]:
    return (reply_rkey(mention.uri, mention.indexed_at, n) for n in range(_MOST_CANDIDATES))


def _place(draft: _Draft, bluesky: Bluesky) -> tuple[str, Ref | None]:
    """The key to write to, and the reply itself where it is there already."""
    mention = draft.mention

    def ours(post: Mapping[str, Any]) -> bool:
        parent: Mapping[str, Any] = (post.get("reply") or {}).get("parent", {})
        return parent.get("uri") == mention.uri

    return place(bluesky, [draft.reply.rkey, *_keys(mention)], ours)


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
