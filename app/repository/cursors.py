"""How far each source of mentions has been read."""

from dataclasses import dataclass
from datetime import datetime

from app.db import Connection
from app.repository import load

_SQL = load("cursors")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the source's own terms, and when it was stored."""

    position: str
    updated_at: datetime


def get(conn: Connection, source: str) -> Cursor | None:
    row = _SQL.get(conn, source=source)
    return Cursor(**row) if row else None


def put(conn: Connection, source: str, position: str) -> None:
    """Stores a position; the time is that of the transaction."""
    _SQL.put(conn, source=source, position=position)


def drop(conn: Connection, source: str) -> None:
    _SQL.drop(conn, source=source)


def lead(conn: Connection) -> bool:
    """Whether this session is the one that reads mentions; true until the session ends."""
    return bool(_SQL.lead(conn))
