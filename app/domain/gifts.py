"""Gifts: an owner offers, the recipient accepts or declines within a week.

Every change to an object's offers or owner happens under the lock of its row, so that whatever
comes at once happens in some order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from app.db import Connection, Transaction
from app.domain.accounts import ensure_user
from app.ids import new_id
from app.models import Gift, GiftStatus, Object, TransactionKind, User
from app.repository import gifts, objects, transactions, users

OFFER_LASTS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Offered:
    """`replaced` is an offer of the object to somebody else, which this one has withdrawn."""

    gift: Gift
    object: Object
    replaced: Gift | None = None


@dataclass(frozen=True, slots=True)
class NotOwner:
    """There is an object of this name, but it belongs to others."""

    query: str


@dataclass(frozen=True, slots=True)
class NoSuchObject:
    query: str
    suggestions: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class Ambiguous:
    query: str
    matches: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class ToSelf:
    pass


@dataclass(frozen=True, slots=True)
class RecipientUnavailable:
    """The recipient has opted out, or blocks the giver or the bot."""

    handle: str


@dataclass(frozen=True, slots=True)
class AlreadyOffered:
    """The object is on offer to this recipient already."""

    gift: Gift


@dataclass(frozen=True, slots=True)
class Accepted:
    gift: Gift
    object: Object


@dataclass(frozen=True, slots=True)
class Declined:
    gift: Gift
    object: Object


@dataclass(frozen=True, slots=True)
class NothingPending:
    """No offer to answer, or the one meant has been answered or withdrawn."""


@dataclass(frozen=True, slots=True)
class Several:
    """More than one offer is open and none was named; the oldest first."""

    gifts: tuple[Gift, ...]


@dataclass(frozen=True, slots=True)
class Expired:
    gift: Gift


OfferOutcome: TypeAlias = (
    Offered | NotOwner | NoSuchObject | Ambiguous | ToSelf | RecipientUnavailable | AlreadyOffered
)
NotAnswered: TypeAlias = NothingPending | Several | Expired
AcceptOutcome: TypeAlias = Accepted | NotAnswered
DeclineOutcome: TypeAlias = Declined | NotAnswered


def offer(
    tx: Transaction,
    giver: User,
    recipient_did: str,
    recipient_handle: str,
    object_query: str,
    mention_uri: str | None,
    now: datetime,
) -> OfferOutcome:
    """Offers the giver's object that `object_query` names to somebody, for a week.

    The query is digits of the id, the name or words of it. Offering again to the same person
    changes nothing; to another one withdraws the earlier offer. A mention that has offered before
    gets the same answer again. Raises ValueError when the recipient's DID is none.
    """
    conn = tx.conn
    if mention_uri is not None and (earlier := gifts.of_mention(conn, mention_uri)):
        return Offered(earlier, _known(conn, earlier.object_id))
    if recipient_did == giver.did:
        return ToSelf()
    recipient = users.get(conn, recipient_did)
    if recipient is not None and recipient.opted_out:
        return RecipientUnavailable(recipient_handle)
    found = _one(conn, giver, object_query)
    if not isinstance(found, Object):
        return found
    locked = objects.lock(conn, found.id)
    if locked.owner_did != giver.did:
        return NotOwner(object_query)
    # The same mention at once in another transaction, which has let go of the lock by now.
    if mention_uri is not None and (earlier := gifts.of_mention(conn, mention_uri)):
        return Offered(earlier, locked)
    replaced = gifts.pending_for_object(conn, locked.id)
    if replaced is not None:
        if replaced.expires_at > now and replaced.recipient_did == recipient_did:
            return AlreadyOffered(replaced)
        expired = replaced.expires_at <= now
        status = GiftStatus.EXPIRED if expired else GiftStatus.WITHDRAWN
        gifts.settle(conn, replaced.id, status, now)
        replaced = None if expired else gifts.get(conn, replaced.id)
    ensure_user(tx, recipient_did, recipient_handle)
    gift_id = new_id()
    gifts.add(
        conn, gift_id, locked.id, giver.did, recipient_did, mention_uri, now, now + OFFER_LASTS
    )
    return Offered(_gift(conn, gift_id), locked, replaced)


def accept(tx: Transaction, recipient: User, gift_id: UUID | None, now: datetime) -> AcceptOutcome:
    """Makes the recipient the owner of what is offered; without an id, of the only open offer.

    Accepting again what one has accepted gives the same answer and changes nothing.
    """
    conn = tx.conn
    meant = _meant(conn, recipient, gift_id, now, GiftStatus.ACCEPTED)
    if not isinstance(meant, _Meant):
        return meant
    if gifts.settle(conn, meant.gift.id, GiftStatus.ACCEPTED, now):
        objects.set_owner(conn, meant.object.id, recipient.did)
        transactions.add(
            conn,
            TransactionKind.GIFT,
            meant.object.id,
            recipient.did,
            now,
            from_did=meant.gift.giver_did,
            gift_id=meant.gift.id,
        )
    return Accepted(_gift(conn, meant.gift.id), _known(conn, meant.object.id))


def decline(
    tx: Transaction, recipient: User, gift_id: UUID | None, now: datetime
) -> DeclineOutcome:
    """Ends an offer; the object stays with its owner. Otherwise as `accept`."""
    conn = tx.conn
    meant = _meant(conn, recipient, gift_id, now, GiftStatus.DECLINED)
    if not isinstance(meant, _Meant):
        return meant
    gifts.settle(conn, meant.gift.id, GiftStatus.DECLINED, now)
    return Declined(_gift(conn, meant.gift.id), meant.object)


@dataclass(frozen=True, slots=True)
class _Meant:
    """The offer an answer is about, open or answered so before, and its object, locked."""

    gift: Gift
    object: Object


def _meant(
    conn: Connection, recipient: User, gift_id: UUID | None, now: datetime, answer: GiftStatus
) -> _Meant | NotAnswered:
    if gift_id is None:
        waiting = gifts.pending_for_recipient(conn, recipient.did, now)
        if len(waiting) > 1:
            return Several(tuple(waiting))
        gift = waiting[0] if waiting else None
    else:
        gift = gifts.get(conn, gift_id)
    if gift is None or gift.recipient_did != recipient.did:
        return NothingPending()
    thing = objects.lock(conn, gift.object_id)
    gift = _gift(conn, gift.id)  # again, as it is under the lock
    if gift.status is answer:
        return _Meant(gift, thing)
    if gift.status is GiftStatus.PENDING and gift.expires_at <= now:
        gifts.settle(conn, gift.id, GiftStatus.EXPIRED, now)
        gift = _gift(conn, gift.id)
    if gift.status is GiftStatus.EXPIRED:
        return Expired(gift)
    if gift.status is not GiftStatus.PENDING or thing.owner_did != gift.giver_did:
        return NothingPending()
    return _Meant(gift, thing)


def _one(conn: Connection, giver: User, query: str) -> Object | NotOwner | NoSuchObject | Ambiguous:
    """The giver's object that is meant, or why it is not clear which."""
    matches = objects.matching(conn, giver.did, query)
    if len(matches) == 1:
        return matches[0]
    if matches:
        return Ambiguous(query, tuple(matches))
    if objects.exists_named(conn, query):
        return NotOwner(query)
    return NoSuchObject(query, tuple(objects.resembling(conn, giver.did, query)))


def _gift(conn: Connection, gift_id: UUID) -> Gift:
    found = gifts.get(conn, gift_id)
    if found is None:
        raise LookupError(f"gift {gift_id} is gone")
    return found


def _known(conn: Connection, object_id: UUID) -> Object:
    found = objects.get(conn, object_id)
    if found is None:
        raise LookupError(f"object {object_id} is gone")
    return found
