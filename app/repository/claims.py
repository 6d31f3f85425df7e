"""Daily claims."""

from datetime import date, datetime
from uuid import UUID

from app.db import Connection
from app.repository import load

_SQL = load("claims")


def lock(conn: Connection, did: str, day: date) -> None:
    """Makes this transaction the only one that claims for the user and day, until its end."""
    _SQL.lock(conn, did=did, day=day)


def object_of_day(conn: Connection, did: str, day: date) -> UUID | None:
    row = _SQL.of_day(conn, did=did, day=day)
    return row["object_id"] if row else None


def object_of_mention(conn: Connection, mention_uri: str) -> UUID | None:
    row = _SQL.of_mention(conn, mention_uri=mention_uri)
    return row["object_id"] if row else None


def add(
    conn: Connection,
    did: str,
    day: date,
    object_id: UUID,
    claimed_at: datetime,
    mention_uri: str | None,
) -> None:
    _SQL.add(
        conn,
        did=did,
        day=day,
        object_id=object_id,
        claimed_at=claimed_at,
        mention_uri=mention_uri,
    )
