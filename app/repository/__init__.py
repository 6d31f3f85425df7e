"""Typed functions over the named queries of app/queries: connection in, models out.

Every list is bounded, newest first unless said otherwise, and continued from a `Before`: the
position of the last row one has.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiosql

MAX_ROWS = 200
_QUERIES = Path(__file__).parent.parent / "queries"


@dataclass(frozen=True, slots=True)
class Before:
    """Where the next page of a list begins: after the row with this time and id."""

    at: datetime
    id: UUID


def load(name: str) -> Any:
    """The queries of app/queries/NAME.sql as methods."""
    return aiosql.from_path(_QUERIES / f"{name}.sql", "psycopg")


def bounded(limit: int) -> int:
    return max(1, min(limit, MAX_ROWS))


def clean(text: str, length: int) -> str:
    """Text as PostgreSQL can hold it (no NUL, no half of a surrogate pair), cut to a length."""
    return text[:length].replace("\0", "").encode("utf-8", "replace").decode("utf-8")
