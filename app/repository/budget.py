"""Write points spent per account and minute."""

from datetime import datetime

from app.db import Connection
from app.repository import load

_SQL = load("budget")


def lock(conn: Connection, account: str) -> None:
    """Makes this transaction the only one that counts the account's points, until its end."""
    _SQL.lock(conn, account=account)


def spent(conn: Connection, account: str, now: datetime) -> tuple[int, int]:
    """Points spent in the last hour and in the last day."""
    row = _SQL.spent(conn, account=account, now=now)
    return row["hour"], row["day"]


def history(conn: Connection, account: str, since: datetime) -> list[tuple[datetime, int]]:
    """Points by the minute they were spent in, oldest first."""
    rows = _SQL.history(conn, account=account, since=since)
    return [(row["minute"], row["points"]) for row in rows]


def spend(conn: Connection, account: str, minute: datetime, points: int) -> None:
    _SQL.spend(conn, account=account, minute=minute, points=points)


def forget(conn: Connection, account: str, before: datetime) -> None:
    _SQL.forget(conn, account=account, before=before)
