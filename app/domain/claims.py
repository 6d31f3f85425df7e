"""The daily claim: one object per user and UTC day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from pydantic import SecretStr

from app.clock import day_of, next_day
from app.db import Connection, Transaction
from app.domain.objects import draw_seed, generate
from app.ids import new_id
from app.models import Object, TransactionKind, User
from app.repository import claims, objects, transactions


@dataclass(frozen=True, slots=True)
class Claimed:
    object: Object


@dataclass(frozen=True, slots=True)
class AlreadyClaimed:
    """The user has had today's object; the next one is due at `next_at`."""

    object: Object
    next_at: datetime


ClaimOutcome: TypeAlias = Claimed | AlreadyClaimed


def claim(
    tx: Transaction,
    user: User,
    mention_uri: str | None,
    now: datetime,
    *,
    secret: SecretStr,
) -> ClaimOutcome:
    """Gives the user the object of the UTC day of `now`, once.

    A mention that has claimed before gets the same answer again, on whatever day it comes. `secret`
    (SECRET_KEY) keeps people from working out when to claim.
    """
    conn, day = tx.conn, day_of(now)
    if mention_uri is not None and (earlier := claims.object_of_mention(conn, mention_uri)):
        return Claimed(_known(conn, earlier))
    claims.lock(conn, user.did, day)
    if taken := claims.object_of_day(conn, user.did, day):
        return _again(conn, taken, mention_uri, now)
    object_id = new_id()
    traits = generate(draw_seed(user.did, day, secret.get_secret_value()))
    objects.add(conn, object_id, traits, user.did, now)
    claims.add(conn, user.did, day, object_id, now, mention_uri)
    transactions.add(conn, TransactionKind.CLAIM, object_id, user.did, now)
    return Claimed(_known(conn, object_id))


def _again(
    conn: Connection, object_id: UUID, mention_uri: str | None, now: datetime
) -> ClaimOutcome:
    # The same mention twice at once: the second waited for the lock, and its claim is there now.
    if mention_uri is not None and claims.object_of_mention(conn, mention_uri) == object_id:
        return Claimed(_known(conn, object_id))
    return AlreadyClaimed(_known(conn, object_id), next_day(now))


def _known(conn: Connection, object_id: UUID) -> Object:
    found = objects.get(conn, object_id)
    if found is None:
        raise LookupError(f"claimed object {object_id} is gone")
    return found
