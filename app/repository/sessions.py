"""The bot accounts' sessions, as encrypted bytes."""

from app.db import Connection
from app.repository import load

_SQL = load("sessions")


def lock(conn: Connection, handle: str) -> None:
    """Makes this transaction the only one that may renew the account's session, until its end."""
    _SQL.lock(conn, handle=handle)


def get(conn: Connection, handle: str) -> bytes | None:
    stored = _SQL.get(conn, handle=handle)
    return None if stored is None else bytes(stored)


def put(conn: Connection, handle: str, session: bytes) -> None:
    _SQL.put(conn, handle=handle, session=session)


def drop(conn: Connection, handle: str) -> None:
    _SQL.drop(conn, handle=handle)
