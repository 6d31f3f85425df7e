"""Objects and who owns them."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Connection
from app.domain.objects import Traits
from app.models import Category, Object, Rarity, Region
from app.repository import Before, bounded, load

_SQL = load("objects")

_HEX = frozenset("0123456789abcdef")
_DIGITS = range(4, 33)
_MOST_WORDS = 8


def get(conn: Connection, object_id: UUID) -> Object | None:
    return _maybe(_SQL.get(conn, id=object_id))


def lock(conn: Connection, object_id: UUID) -> Object:
    """The object as it is now; nobody else changes its owner until the transaction ends.

    Raises LookupError when there is no such object.
    """
    _SQL.lock(conn, id=object_id)
    found = get(conn, object_id)
    if found is None:
        raise LookupError(f"no object {object_id}")
    return found


def add(
    conn: Connection, object_id: UUID, traits: Traits, owner_did: str, created_at: datetime
) -> None:
    _SQL.add(
        conn,
        id=object_id,
        name=traits.name,
        description=traits.description,
        category=traits.category,
        rarity=traits.rarity,
        region=traits.region,
        seed=traits.seed,
        owner_did=owner_did,
        created_at=created_at,
    )


def set_owner(conn: Connection, object_id: UUID, owner_did: str) -> None:
    _SQL.set_owner(conn, id=object_id, owner_did=owner_did)


def by_owner(
    conn: Connection, did: str, limit: int = 24, before: Before | None = None
) -> list[Object]:
    rows = _SQL.by_owner(
        conn,
        did=did,
        before_at=before.at if before else None,
        before_id=before.id if before else None,
        count=bounded(limit),
    )
    return _all(rows)


def count_by_owner(conn: Connection, did: str) -> int:
    return int(_SQL.count_by_owner(conn, did=did))


def matching(conn: Connection, did: str, query: str, limit: int = 10) -> list[Object]:
    """A user's objects that `query` names: by digits of the id, else by whole name, else by part.

    Case, accents and spacing do not matter. Empty when nothing matches.
    """
    count = bounded(limit)
    folded = fold(query)
    digits = folded.removeprefix("#").replace("-", "").replace(" ", "")
    if len(digits) in _DIGITS and _HEX.issuperset(digits):
        found = _all(_SQL.with_digits(conn, did=did, digits=digits, count=count))
        if found:
            return found
    if not folded:
        return []
    words = folded.split()[:_MOST_WORDS]
    return _all(_SQL.named(conn, did=did, name=folded, count=count)) or _all(
        _SQL.named_partly(conn, did=did, words=words, count=count)
    )


def resembling(conn: Connection, did: str, query: str, limit: int = 3) -> list[Object]:
    """A user's objects with some word of the query in their name, the best match first."""
    words = fold(query).split()[:_MOST_WORDS]
    # Short words match by accident.
    telling = [word for word in words if len(word) > 2]
    return _all(_SQL.resembling(conn, did=did, words=telling, count=bounded(limit)))


def exists_named(conn: Connection, name: str) -> bool:
    """Whether anybody owns an object of exactly this name."""
    return bool(_SQL.exists_named(conn, name=fold(name)))


def fold(text: str) -> str:
    """Text without case, accents, NULs and superfluous spaces, for comparing names."""
    apart = unicodedata.normalize("NFKD", text[:300].encode("utf-8", "ignore").decode())
    plain = "".join(char for char in apart if not unicodedata.combining(char) and char != "\0")
    return " ".join(plain.casefold().replace("\u2019", "'").split())


def from_row(row: Mapping[str, Any]) -> Object:
    return Object(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        category=Category(row["category"]),
        rarity=Rarity(row["rarity"]),
        region=Region(row["region"]),
        seed=row["seed"],
        owner_did=row["owner_did"],
        owner_handle=row["owner_handle"],
        created_at=row["created_at"],
    )


def _maybe(row: Mapping[str, Any] | None) -> Object | None:
    return from_row(row) if row else None


def _all(rows: Iterable[Mapping[str, Any]]) -> list[Object]:
    return [from_row(row) for row in rows]
