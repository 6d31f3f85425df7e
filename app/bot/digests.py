"""Digests: one post that answers several people, when there are no points to answer each of them.

What people asked for has happened by then and shows on the site, so a digest only says so: whom it
is for and where to look. A reply is left to a digest in the transaction that composes the digest,
and only while nobody has begun to send it; so everybody is answered once, by one or the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from app.bot import budget
from app.bot.accounts import Account, Accounts
from app.bot.bluesky import POST, Bluesky, Ref, stamp
from app.bot.budget import Spent
from app.bot.consent import Withheld, forbidden, mentioned, welcome
from app.bot.richtext import Link, Part, compose, fits
from app.bot.richtext import Mention as Tag
from app.bot.rkey import encode_tid
from app.clock import utcnow
from app.db import Connection, Database, Transaction
from app.errors import Reject
from app.ids import new_id
from app.jobs.queue import put
from app.metrics import DIGESTS, REPLIES
from app.models import Digest, Job, Mention, Object, Priority, Reply
from app.repository import digests, mentions, objects, replies, users

KIND = "digest"
EVERY = timedelta(minutes=1)
"""At most one digest begins in this time; those who are left over follow at once."""

_FOLLOWS = timedelta(seconds=5)
_CANDIDATES = 25
_KEYS = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


def ask(database: Database, reply: Reply) -> None:
    """Notes that there were no points for a reply, and sees to it that a digest follows."""
    minute = int(utcnow().timestamp() // EVERY.total_seconds())
    with database.transaction() as tx:
        replies.run_short(tx.conn, reply.mention_uri)
        put(tx, kind=KIND, key=str(minute), payload={}, priority=Priority.NORMAL, delay=EVERY)


@dataclass(frozen=True)
class Line:
    """One person's part of a digest: whom it notifies, and what it leads to."""

    reply: Reply
    mention: Mention
    people: tuple[Tag, ...]
    about: Link
    gift: bool

    @property
    def parts(self) -> list[Part]:
        names: list[Part] = []
        for person in self.people:
            names += [person, " "]
        return [*names, "→ ", self.about, " (reply “accept”)\n" if self.gift else "\n"]


def write(lines: Sequence[Line], public_url: str) -> list[Part]:
    """The post: an opening, a line for each, and where the rest is to be seen."""
    opening = "So many of you at once that I answer together:\n"
    body = [part for line in lines for part in line.parts]
    return [opening, *body, Link("All that happened", public_url, elastic=False)]


def fitting(lines: Sequence[Line], public_url: str) -> list[Line]:
    """The first lines that fit into one post with readable names; one always does."""
    count = 1
    while count < len(lines) and fits(*write(lines[: count + 1], public_url)):
        count += 1
    return list(lines[:count])


@dataclass(frozen=True)
class Posted:
    """The digest is on Bluesky."""

    digest: Digest
    ref: Ref


@dataclass(frozen=True)
class Nobody:
    """Nobody is left to answer."""


class DigestHandler:
    """Sends a digest: `prepare` composes it once and talks to Bluesky, `apply` records the rest."""

    def __init__(self, database: Database, accounts: Accounts, public_url: str) -> None:
        self._database = database
        self._accounts = accounts
        self._url = public_url.rstrip("/")

    def prepare(self, job: Job) -> Posted | Nobody:
        """Composes and sends; done again, it goes on from there. Raises Retry and Reject."""
        with self._database.read(fresh=True) as conn:
            known = digests.of_job(conn, job.key)
        digest = known or self._compose(job)
        if digest is None or digest.sent_at is not None:
            return Nobody()
        account = self._accounts[digest.account]
        rkey = digest.rkey
        if known is not None:
            rkey, existing = _place(digest, account.bluesky)
            if existing is not None:
                return Posted(digest, existing)
        record = {**digest.record, "facets": self._welcome(digest, account.bluesky)}
        ref = account.bluesky.put_post(rkey, record, account.budget.learn)
        return Posted(digest, ref)

    def apply(self, tx: Transaction, job: Job, prepared: Posted | Nobody) -> None:
        """Records the post in the transaction that finishes the job."""
        if isinstance(prepared, Nobody):
            return
        digests.mark_sent(tx.conn, prepared.digest.id, prepared.ref.uri, prepared.ref.cid)
        people = len(digests.people(tx.conn, prepared.digest.id))
        log.info("digest sent", digest=job.key, people=people)
        tx.on_commit(lambda: REPLIES.labels(outcome="digested").inc(people))
        tx.on_commit(DIGESTS.inc)

    def _compose(self, job: Job) -> Digest | None:
        """Commits a digest of those who wait, with the points for it; None when nobody does."""
        with self._database.read(fresh=True) as conn:
            waiting = replies.short(conn, _CANDIDATES)
            drafts = [self._line(conn, reply) for reply in waiting]
        lines = [line for line in drafts if line is not None and self._permitted(line)]
        if not lines:
            return None
        chosen = fitting(lines, self._url)
        shortages: list[Spent] = []
        for account in self._accounts.in_turn(chosen[0].reply.account):
            id_ = new_id()

            def create(tx: Transaction, account: Account = account, id_: UUID = id_) -> None:
                left = [
                    line
                    for line in chosen
                    if replies.into_digest(tx.conn, line.reply.mention_uri, id_)
                ]
                if not left:
                    return
                self._add(tx, job, account.handle, id_, left)
                if len(waiting) > len(chosen):
                    put(
                        tx,
                        kind=KIND,
                        key=str(id_),
                        payload={},
                        priority=Priority.NORMAL,
                        delay=_FOLLOWS,
                    )

            try:
                account.budget.reserve(budget.PUT, None, create)
            except Spent as spent:
                shortages.append(spent)
                continue
            with self._database.read(fresh=True) as conn:
                return digests.of_job(conn, job.key)
        raise min(shortages, key=lambda spent: spent.after)

    def _add(
        self, tx: Transaction, job: Job, account: str, id_: UUID, lines: Sequence[Line]
    ) -> None:
        text, facets = compose(*write(lines, self._url))
        now = utcnow()
        record = {
            "$type": POST,
            "text": text,
            "facets": facets,
            "langs": ["en"],
            "createdAt": stamp(now),
        }
        digests.add(tx.conn, id_, job.key, account, _rkey(id_, now, 0), record)

    def _line(self, conn: Connection, reply: Reply) -> Line | None:
        mention = mentions.get(conn, reply.mention_uri)
        author = users.get(conn, mention.author_did) if mention else None
        if mention is None or author is None:
            return None
        if author.opted_out:
            self._withhold(reply, Withheld("opted out"))
            return None
        others = [
            Tag(text, did)
            for text, did in _tags(reply)
            if did not in (author.did, mention.author_did)
        ]
        thing: Object | None = objects.get(conn, reply.object_id) if reply.object_id else None
        about = (
            Link(thing.name, f"{self._url}/objects/{thing.id}")
            if thing
            else Link("your page", f"{self._url}/users/{author.did}", elastic=False)
        )
        people = (Tag(f"@{author.handle}", author.did), *others)
        return Line(reply, mention, people, about, gift=reply.gift_id is not None)

    def _permitted(self, line: Line) -> bool:
        """Whether the person may still be answered; if not, the reply is withheld."""
        refusal = forbidden(self._accounts.main, line.mention)
        if refusal is not None:
            self._withhold(line.reply, refusal)
        return refusal is None

    def _withhold(self, reply: Reply, refusal: Withheld) -> None:
        with self._database.transaction() as tx:
            replies.withhold(tx.conn, reply.mention_uri, refusal.reason)
            if refusal.mention_deleted:
                mentions.mark_deleted(tx.conn, reply.mention_uri)
        REPLIES.labels(outcome="withheld").inc()

    def _welcome(self, digest: Digest, bluesky: Bluesky) -> list[object]:
        """The facets without those of people who want to be left alone by now."""
        facets = digest.record.get("facets", [])
        named = {did for facet in facets for did in mentioned(facet)}
        with self._database.read(fresh=True) as conn:
            hushed = {did for did, gone in digests.people(conn, digest.id).items() if gone}
            hushed |= {did for did in named if (user := users.get(conn, did)) and user.opted_out}
        return list(welcome(facets, hushed, bluesky, author=""))


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
    for rkey in dict.fromkeys([digest.rkey, *(_rkey(digest.id, created, n) for n in range(_KEYS))]):
        found = bluesky.record(f"at://{bluesky.did}/{POST}/{rkey}")
        if found is None:
            return rkey, None
        if (found.get("value") or {}).get("text") == digest.record["text"]:
            return rkey, Ref(found["uri"], found["cid"])
    raise Reject("every key for this digest is taken by another post")
