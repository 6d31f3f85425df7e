"""Offers of objects from one user to another."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection
from app.models import Gift, GiftStatus
from app.repository import bounded, load

_SQL = load("gifts")


def get(conn: Connection, gift_id: UUID) -> Gift | None:
    row = _SQL.get(conn, id=gift_id)
    return _gift(row) if row else None


def of_mention(conn: Connection, mention_uri: str) -> Gift | None:
    """The offer that a mention has made."""
    gift_id = _SQL.of_mention(conn, mention_uri=mention_uri)
    return get(conn, gift_id) if gift_id else None


def pending_for_object(conn: Connection, object_id: UUID) -> Gift | None:
    """The object's open offer, which may have run out meanwhile."""
    gift_id = _SQL.pending_for_object(conn, object_id=object_id)
    return get(conn, gift_id) if gift_id else None


def pending_for_recipient(conn: Connection, did: str, now: datetime, limit: int = 10) -> list[Gift]:
    """Offers that a user can accept at this time, the oldest first."""
    rows = _SQL.pending_for_recipient(conn, did=did, now=now, count=bounded(limit))
    return [_gift(row) for row in rows]


def add(
    conn: Connection,
    gift_id: UUID,
    object_id: UUID,
    giver_did: str,
    recipient_did: str,
    mention_uri: str | None,
    offered_at: datetime,
    expires_at: datetime,
) -> None:
    _SQL.add(
        conn,
        id=gift_id,
        object_id=object_id,
        giver_did=giver_did,
        recipient_did=recipient_did,
        mention_uri=mention_uri,
        offered_at=offered_at,
        expires_at=expires_at,
    )


def settle(conn: Connection, gift_id: UUID, status: GiftStatus, now: datetime) -> bool:
    """Gives a pending offer its final status; False when it has one already."""
    return bool(_SQL.settle(conn, id=gift_id, status=status, now=now))


def settle_all_of_user(conn: Connection, did: str, now: datetime) -> int:
    """Declines what is offered to a user and withdraws what they offer; how many that were."""
    return int(_SQL.settle_all_of_user(conn, did=did, now=now))


def _gift(row: Mapping[str, Any]) -> Gift:
    return Gift(**{**row, "status": GiftStatus(row["status"])})
