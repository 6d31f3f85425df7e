"""The ledger of ownership."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection
from app.ids import new_id
from app.models import TransactionKind, TransactionRecord
from app.repository import Before, bounded, load

_SQL = load("transactions")


def add(
    conn: Connection,
    kind: TransactionKind,
    object_id: UUID,
    to_did: str,
    at: datetime,
    *,
    from_did: str | None = None,
    gift_id: UUID | None = None,
) -> None:
    _SQL.add(
        conn,
        id=new_id(),
        kind=kind,
        object_id=object_id,
        from_did=from_did,
        to_did=to_did,
        gift_id=gift_id,
        at=at,
    )


def of_object(
    conn: Connection, object_id: UUID, limit: int = 50, before: Before | None = None
) -> list[TransactionRecord]:
    """The object's provenance, the latest owner first."""
    rows = _SQL.of_object(
        conn,
        object_id=object_id,
        before_at=before.at if before else None,
        before_id=before.id if before else None,
        count=bounded(limit),
    )
    return _all(rows)


def _all(rows: Iterable[Mapping[str, Any]]) -> list[TransactionRecord]:
    return [TransactionRecord(**{**row, "kind": TransactionKind(row["kind"])}) for row in rows]
