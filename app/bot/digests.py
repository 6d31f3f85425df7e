"""Digests: one post that answers several people, when there are no points to answer each of them.

What people asked for has happened by then and shows on the site, so a digest only says so, in few
words that lead there. A reply is left to a digest in the transaction that composes the digest, and
only while nobody has begun to send it; so everybody is answered once, by one or the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from app.bot import budget
from app.bot.accounts import Account, Accounts
from app.bot.bluesky import POST, Bluesky, Limited, Ref, place, stamp
from app.bot.budget import Spent
from app.bot.consent import TooNew, Withheld, forbidden, mentioned
from app.bot.richtext import Link, Name, Part, compose, fits
from app.bot.richtext import Mention as Tag
from app.bot.rkey import encode_tid
from app.bot.sessions import RefusedError
from app.bot.wording import BRIEF, SYMBOLS
from app.clock import utcnow
from app.db import Connection, Database, Transaction
from app.errors import Reject, Retry
from app.ids import new_id
from app.jobs.queue import hold, keep_waiting, put
from app.metrics import DIGESTS, REPLIES
from app.models import Digest, Job, Mention, Object, Priority, Reply, User
from app.repository import digests, mentions, objects, replies, users
from app.repository.replies import Waiting

KIND = "digest"
EVERY = timedelta(minutes=1)
"""At most one digest begins in this time; those who are left over follow at once."""

_FOLLOWS = timedelta(seconds=5)
_AGAIN = timedelta(seconds=1)
# More than fit into a post, as some may turn out not to be answered.
_CANDIDATES = 25
_KEYS = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


def ask(database: Database, reply: Reply) -> None:
    """Notes that there were no points for a reply, and sees to it that a digest follows."""
    minute = str(int(utcnow().timestamp() // EVERY.total_seconds()))
    with database.transaction() as tx:
        replies.run_short(tx.conn, reply.mention_uri)
        if not _request(tx, minute, EVERY) and not keep_waiting(tx, KIND, minute):
            # That one has begun already, as clocks differ, and may not know of this reply.
            _request(tx, f"{minute} {new_id()}", EVERY)


def _request(tx: Transaction, key: str, delay: timedelta) -> bool:
    return put(tx, kind=KIND, key=key, payload={}, priority=Priority.NORMAL, delay=delay)


@dataclass(frozen=True)
class Line:
    """A digest's answer to one mention: who is told, what happened, and where it is to be seen.

    `brief` and `more` are those of the Answer. `others` are people in it beside the author, by the
    words that name them; with None as a DID they are not notified.
    """

    reply: Reply
    mention: Mention
    author: User
    brief: str
    more: str
    thing: Object | None
    others: tuple[tuple[str, str | None], ...] = ()

    @property
    def dids(self) -> list[str]:
        """Whom the line notifies."""
        return [self.author.did, *(did for _, did in self.others if did is not None)]

    def without(self, dids: set[str]) -> "Line":
        """The line without notifying these people; the author stays."""
        others = tuple((name, None if did in dids else did) for name, did in self.others)
        return replace(self, others=others)

    def parts(self, url: str) -> list[Part]:
        """The words, with a line break before them."""
        said: list[Part] = ["\n", Tag(f"@{self.author.handle}", self.author.did), " "]
        if self.thing is None:
            page = self.more or f"/users/{self.author.did}"
            return [*said, Link(self.brief, f"{url}{page}", elastic=False)]
        said += [f"{self.brief} ", Link(self.thing.name, f"{url}/objects/{self.thing.id}")]
        said += [f" {SYMBOLS[self.thing.rarity]}"]
        offer = self.reply.gift_id is not None
        for name, did in self.others:
            said += [" to " if offer else " from ", Tag(name, did) if did else Name(name)]
        return [*said, " (reply “accept”)"] if offer else said


def write(lines: Iterable[Line], url: str) -> list[Part]:
    """The post: an opening that leads to the site, and a line for each."""
    body = [part for line in lines for part in line.parts(url)]
    return [Link("So many of you! In short:", url, elastic=False), *body]


def fitting(lines: Sequence[Line], url: str) -> bool:
    """Whether one post holds the lines with names that people can read. One line always fits."""
    return len(lines) <= 1 or fits(*write(lines, url))


@dataclass(frozen=True)
class Posted:
    """The digest is on Bluesky."""

    digest: Digest
    ref: Ref


@dataclass(frozen=True)
class Nobody:
    """Nobody is left to answer."""


class DigestHandler:
    """Sends a digest: `prepare` composes it and talks to Bluesky, `apply` records the rest."""

    def __init__(self, database: Database, accounts: Accounts, public_url: str) -> None:
        self._database = database
        self._accounts = accounts
        self._url = public_url.rstrip("/")

    def prepare(self, job: Job) -> Posted | Nobody:
        """Composes and sends; done again, it goes on from there. Raises Retry and Reject."""
        self._accounts.main.courtesy.check()
        with self._database.read(fresh=True) as conn:
            known = digests.of_job(conn, job.key)
        if known is not None and known.sent_at is not None:
            return Nobody()
        if known is not None:
            account = self._accounts[known.account]
            rkey, existing = _place(known, account.bluesky)
            if existing is not None:
                return Posted(known, existing)
            digest = self._revised(job, known, account)
        else:
            digest = self._composed(job)
            rkey = digest.rkey if digest else ""
        if digest is None:
            return Nobody()
        account = self._accounts[digest.account]
        try:
            ref = account.bluesky.put_post(rkey, digest.record, account.budget.learn)
        except (Limited, RefusedError) as refusal:
            if known is None and self._accounts.another_may(refusal):
                self._dissolve(job, digest)
                raise Retry(_AGAIN, refusal.reason) from refusal
            raise
        return Posted(digest, ref)

    def apply(self, tx: Transaction, job: Job, prepared: Posted | Nobody) -> None:
        """Records the post in the transaction that finishes the job."""
        if isinstance(prepared, Nobody):
            return
        digests.mark_sent(tx.conn, prepared.digest.id, prepared.ref.uri, prepared.ref.cid)
        people = digests.count_people(tx.conn, prepared.digest.id)
        log.info("digest sent", digest=job.key, people=people)
        tx.on_commit(lambda: REPLIES.labels(outcome="digested").inc(people))
        tx.on_commit(DIGESTS.inc)

    # Composing

    def _composed(self, job: Job) -> Digest | None:
        """Commits a digest of those who wait, with the points for it; None when nobody does."""
        with self._database.read(fresh=True) as conn:
            waiting = [_line(conn, one) for one in replies.short(conn, _CANDIDATES)]
        lines = self._first(waiting)
        if not lines:
            return None
        shortages: list[Spent] = []
        for account in self._accounts.in_turn(lines[0].reply.account):
            try:
                told = self._welcome(lines, account)
                if told:
                    return self._create(job, account, told, more=len(waiting) > len(told))
            except RefusedError as error:
                log.warning("courier cannot be used", handle=account.handle, reason=error.reason)
            except Spent as spent:
                shortages.append(spent)
        if shortages:
            raise min(shortages, key=lambda spent: spent.after)
        return None

    def _create(self, job: Job, account: Account, lines: Sequence[Line], *, more: bool) -> Digest:
        id_ = new_id()

        def create(tx: Transaction) -> Digest | None:
            left = [line for line in lines if replies.into_digest(tx.conn, line.mention.uri, id_)]
            if not left:
                # The points are not needed after all, so nothing is committed.
                raise Retry(_AGAIN, "those who waited are answered by now")
            now = utcnow()
            record = self._record(left, stamp(now))
            digests.add(tx.conn, id_, job.key, account.handle, _rkey(id_, now, 0), record)
            if more:
                _request(tx, str(id_), _FOLLOWS)
            return digests.of_job(tx.conn, job.key)

        digest = account.budget.reserve_and(budget.PUT, None, create)
        if digest is None:
            raise Retry(_AGAIN, "the digest is not there yet")
        return digest

    def _revised(self, job: Job, digest: Digest, account: Account) -> Digest | None:
        """A digest that was composed earlier, without those who must not be told any more."""
        with self._database.read(fresh=True) as conn:
            members = [_line(conn, one) for one in replies.in_digest(conn, digest.id)]
        refusals = {line.mention.uri: self._refusal(line) for line in members}
        told = self._welcome(
            [line for line in members if refusals[line.mention.uri] is None], account
        )
        record = self._record(told, digest.record["createdAt"])
        if record == digest.record:
            return digest
        kept = {line.mention.uri for line in told}
        with self._database.transaction() as tx:
            hold(tx, job)
            for uri, refusal in refusals.items():
                if uri not in kept:
                    _leave_out(tx, uri, refusal or Withheld("blocked"))
            if not told:
                digests.drop(tx.conn, digest.id)
                return None
            digests.revise(tx.conn, digest.id, record)
            return digests.of_job(tx.conn, job.key)

    def _dissolve(self, job: Job, digest: Digest) -> None:
        """Lets another account compose it, as this one was not allowed to send it."""
        with self._database.transaction() as tx:
            hold(tx, job)
            replies.dissolve(tx.conn, digest.id)
            digests.drop(tx.conn, digest.id)

    def _record(self, lines: Sequence[Line], created_at: str) -> dict[str, Any]:
        text, facets = compose(*write(lines, self._url))
        return {
            "$type": POST,
            "text": text,
            "facets": facets,
            "langs": ["en"],
            "createdAt": created_at,
        }

    # Whom it may answer

    def _first(self, waiting: Sequence[Line]) -> list[Line]:
        """The first who may be answered, as many as fit; Bluesky is asked about no others."""
        lines: list[Line] = []
        for line in waiting:
            if not fitting([*lines, line], self._url):
                break
            try:
                refusal = self._refusal(line)
            except TooNew:
                continue  # a later digest, or a reply of its own
            if refusal is None:
                lines.append(line)
                continue
            with self._database.transaction() as tx:
                if replies.withhold(tx.conn, line.mention.uri, refusal.reason):
                    _note(tx, line.mention.uri, refusal)
        return lines

    def _refusal(self, line: Line) -> Withheld | None:
        if line.author.opted_out:
            return Withheld("opted out")
        return forbidden(self._accounts.main, line.mention)

    def _welcome(self, lines: Sequence[Line], account: Account) -> list[Line]:
        """The lines that an account may send, without notifying others who would rather not be."""
        dids = {did for line in lines for did in line.dids}
        barred = self._accounts.barred(account, sorted(dids))
        others = {did for line in lines for did in line.dids[1:]}
        with self._database.read(fresh=True) as conn:
            hushed = {did for did in others if (user := users.get(conn, did)) and user.opted_out}
        for did in others - hushed:
            profile = self._accounts.main.profile(did, fresh=True)
            if profile is None or profile.blocked:
                hushed.add(did)
        return [line.without(hushed | barred) for line in lines if line.author.did not in barred]


def _leave_out(tx: Transaction, mention_uri: str, refusal: Withheld) -> None:
    if replies.out_of_digest(tx.conn, mention_uri, refusal.reason):
        _note(tx, mention_uri, refusal)


def _note(tx: Transaction, mention_uri: str, refusal: Withheld) -> None:
    if refusal.mention_deleted:
        mentions.mark_deleted(tx.conn, mention_uri)
    log.info("reply withheld", mention=mention_uri, reason=refusal.reason)
    tx.on_commit(lambda: REPLIES.labels(outcome="withheld").inc())


def _line(conn: Connection, waiting: Waiting) -> Line:
    reply = waiting.reply
    mention = mentions.get(conn, reply.mention_uri)
    author = users.get(conn, mention.author_did) if mention else None
    if mention is None or author is None:
        raise Reject(f"there is nobody to answer {reply.mention_uri}")
    return Line(
        reply,
        mention,
        author,
        waiting.payload.get("brief") or BRIEF,
        waiting.payload.get("more") or "",
        objects.get(conn, reply.object_id) if reply.object_id else None,
        tuple((name, did) for name, did in _tags(reply) if did != author.did),
    )


def _tags(reply: Reply) -> list[tuple[str, str]]:
    """Whom a stored reply names, with the words that do."""
    raw = reply.record["text"].encode()
    return [
        (raw[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode(), did)
        for facet in reply.record.get("facets", [])
        for did in mentioned(facet)
    ]


def _rkey(id_: UUID, created: datetime, bump: int) -> str:
    clock = (int.from_bytes(id_.bytes[-2:], "big") + bump) % 1024
    return encode_tid((created - _EPOCH) // timedelta(microseconds=1), clock)


def _place(digest: Digest, bluesky: Bluesky) -> tuple[str, Ref | None]:
    """The key to write to, and the digest itself where it is there already."""
    created = datetime.fromisoformat(digest.record["createdAt"])
    keys = [digest.rkey, *(_rkey(digest.id, created, n) for n in range(_KEYS))]

    def ours(post: Mapping[str, Any]) -> bool:
        return "reply" not in post and post.get("createdAt") == digest.record["createdAt"]

    return place(bluesky, keys, ours)
