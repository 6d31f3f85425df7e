"""Posts that answer several people at once."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from app.db import Connection
from app.models import Digest
from app.repository import load

_SQL = load("digests")


def add(
    conn: Connection, id_: UUID, job_key: str, account: str, rkey: str, record: Mapping[str, Any]
) -> None:
    _SQL.add(conn, id=id_, job_key=job_key, account=account, rkey=rkey, record=Jsonb(dict(record)))


def of_job(conn: Connection, job_key: str) -> Digest | None:
    """The digest that a job has composed."""
    row = _SQL.of_job(conn, job_key=job_key)
    return Digest(**row) if row else None


def revise(conn: Connection, id_: UUID, record: Mapping[str, Any]) -> None:
    """Replaces what a digest says, before it is sent."""
    _SQL.revise(conn, id=id_, record=Jsonb(dict(record)))


def drop(conn: Connection, id_: UUID) -> None:
    """Forgets a digest that was never sent and stands for no reply any more."""
    _SQL.drop(conn, id=id_)


def count_people(conn: Connection, id_: UUID) -> int:
    """How many replies a digest stands for."""
    return int(_SQL.count_people(conn, id=id_))


def mark_sent(conn: Connection, id_: UUID, uri: str, cid: str) -> bool:
    return bool(_SQL.mark_sent(conn, id=id_, uri=uri, cid=cid))
