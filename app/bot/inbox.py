"""The inbox: posts from any source become stored mentions and jobs, each of them once."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog

from app.bot import commands
from app.bot.facets import read_facets
from app.clock import utcnow
from app.db import Transaction
from app.jobs.queue import put
from app.metrics import INGEST_LAG, MENTIONS
from app.models import Mention, Priority
from app.repository import mentions

_POST_URI = re.compile(r"at://(did:[a-z0-9]+:[\w.:%-]+)/app\.bsky\.feed\.post/([\w.~:-]{1,512})")
# Servers that check nothing could send megabytes; a post of 300 graphemes fits easily.
_MOST_BYTES = 4_000
_MOST_FACETS = 50
# A clock that disagrees with ours by less than this is trusted.
_SKEW = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class UnreadableError(ValueError):
    """A record that is not a post as the lexicon describes it."""


@dataclass(frozen=True)
class Bot:
    """Who we are on Bluesky: the account people mention, and `couriers`, handles by DID."""

    did: str
    handle: str
    couriers: Mapping[str, str] = field(default_factory=dict)

    def is_us(self, did: object) -> bool:
        """Whether a DID is that of one of our accounts."""
        return did == self.did or did in self.couriers

    def wrote(self, uri: object) -> bool:
        """Whether a URI is that of one of our own posts."""
        return isinstance(uri, str) and self.is_us(uri.removeprefix("at://").split("/", 1)[0])

    def understand(self, mention: Mention) -> commands.Command:
        """What a mention asks for."""
        parent = mention.reply_parent or {}
        return commands.parse(
            mention.text,
            mention.facets,
            {self.did, *self.couriers},
            is_reply=self.wrote(parent.get("uri")),
            bot_handles={self.handle, *self.couriers.values()},
        )


@dataclass(frozen=True)
class Urgency:
    """When a command's job is due, and what it yields to."""

    priority: Priority
    delay: timedelta


_AT_ONCE = Urgency(Priority.HIGH, timedelta(0))
_SOON = Urgency(Priority.NORMAL, timedelta(seconds=2))
_LATER = Urgency(Priority.LOW, timedelta(seconds=5))


def urgency(command: commands.Command) -> Urgency | None:
    """A command's urgency, or None where there is nothing to do."""
    match command:
        case commands.Claim() | commands.Stop() | commands.Start():
            return _AT_ONCE
        case commands.Gift() | commands.Accept() | commands.Decline():
            return _SOON
        case commands.Inventory() | commands.Help() | commands.Unknown():
            return _LATER
        case commands.Nothing():
            return None


def read_mention(
    uri: object, cid: object, handle: object, record: object, indexed_at: datetime, source: str
) -> Mention:
    """A post as a mention, with everything in it checked, shortened and fit to be stored.

    Raises UnreadableError where the address or the text is not what a post has.
    """
    address = _POST_URI.fullmatch(uri) if isinstance(uri, str) else None
    if address is None or not isinstance(cid, str) or not isinstance(record, Mapping):
        raise UnreadableError("not the address of a post")
    text = record.get("text")
    if not isinstance(text, str):
        raise UnreadableError("a post without text")
    raw = text.encode("utf-8", "replace")[:_MOST_BYTES]
    text = raw.decode("utf-8", "ignore").replace("\0", " ")
    reply = record.get("reply")
    refs = reply if isinstance(reply, Mapping) else {}
    root, parent = _ref(refs.get("root")), _ref(refs.get("parent"))
    did = address.group(1)
    return Mention(
        uri=address.group(),
        cid=_storable(cid),
        author_did=did,
        author_handle=_storable(handle) if isinstance(handle, str) and handle else did,
        text=text,
        facets=_facets(text, record.get("facets")),
        reply_root=root if parent else None,
        reply_parent=parent if root else None,
        source=source,
        indexed_at=indexed_at,
        received_at=utcnow(),
        deleted_at=None,
    )


def store(tx: Transaction, arrived: Iterable[Mention], bot: Bot, alive_since: datetime) -> int:
    """Stores mentions that are new and puts their jobs; returns how many were new.

    `alive_since` is when we last looked at the source: see `dated`. One mention that cannot be
    stored is logged and does not hold up the rest.
    """
    stored = 0
    for mention in arrived:
        due = urgency(bot.understand(mention))
        if due is None or bot.is_us(mention.author_did):
            continue
        known = dated(mention, alive_since)
        try:
            with tx.conn.transaction():
                if not mentions.add(tx.conn, known):
                    continue
                put(
                    tx,
                    kind="command",
                    key=known.uri,
                    payload={},
                    priority=due.priority,
                    delay=due.delay,
                )
        except (psycopg.DataError, psycopg.IntegrityError, UnicodeError):
            log.exception("mention cannot be stored", uri=known.uri)
            continue
        stored += 1
        MENTIONS.labels(source=known.source).inc()
        INGEST_LAG.set((known.received_at - known.indexed_at).total_seconds())
    return stored


def dated(mention: Mention, alive_since: datetime) -> Mention:
    """The mention with a time to go by, since authors can date their posts as they like.

    A time since we last looked is plausible and kept, so that a claim made while we were down
    counts for its own day. Any other time becomes that of arrival.
    """
    plausible = alive_since - _SKEW <= mention.indexed_at <= mention.received_at
    return mention if plausible else replace(mention, indexed_at=mention.received_at)


def read_time(value: object) -> datetime | None:
    """A time as the network writes it, in UTC, or None."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _facets(text: str, facets: object) -> list[dict[str, Any]]:
    """The mentions and links that fit the text, and nothing else of what was sent."""
    kept: list[dict[str, Any]] = []
    for facet in read_facets(text.encode(), facets)[:_MOST_FACETS]:
        if facet.did is not None:
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": _storable(facet.did)}
        else:
            feature = {"$type": "app.bsky.richtext.facet#link", "uri": _storable(facet.link or "")}
        kept.append(
            {"index": {"byteStart": facet.start, "byteEnd": facet.end}, "features": [feature]}
        )
    return kept


def _ref(value: object) -> dict[str, str] | None:
    if not isinstance(value, Mapping):
        return None
    uri, cid = value.get("uri"), value.get("cid")
    if not isinstance(uri, str) or not isinstance(cid, str) or not uri.startswith("at://"):
        return None
    return {"uri": _storable(uri), "cid": _storable(cid)}


def _storable(text: str) -> str:
    """Without what PostgreSQL cannot hold: NUL and halves of surrogate pairs."""
    clean = text[:2_048].encode("utf-8", "replace").decode()
    return clean.replace("\0", " ")
