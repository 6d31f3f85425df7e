"""People and objects for the suites of the domain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from app.db import Database
from app.domain.accounts import ensure_user
from app.domain.claims import Claimed, claim
from app.models import Object, User

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
SECRET = SecretStr("s" * 64)


class World:
    """Shortcuts to what the tests need to exist."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def person(self, name: str) -> User:
        with self.database.transaction() as tx:
            return ensure_user(tx, f"did:plc:{name}", f"{name}.test")

    def object_of(self, user: User, days_ago: int = 0) -> Object:
        with self.database.transaction() as tx:
            outcome = claim(tx, user, None, NOON - timedelta(days=days_ago), secret=SECRET)
        assert isinstance(outcome, Claimed)
        return outcome.object

    def rename(self, thing: Object, name: str) -> None:
        """Gives an object a name that a test can rely on."""
        with self.database.transaction() as tx:
            tx.conn.execute("UPDATE objects SET name = %s WHERE id = %s", (name, thing.id))

    def count(self, table: str) -> int:
        with self.database.read() as conn:
            row = conn.execute(f"SELECT count(*) AS n FROM {table}").fetchone()  # noqa: S608
        assert row is not None
        return int(row["n"])


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
