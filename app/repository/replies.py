"""The outbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from app.db import Connection
from app.models import Reply, ReplyState
from app.repository import clean, load

_SQL = load("replies")

REASON_LENGTH = 500


def add(
    conn: Connection,
    mention_uri: str,
    account: str,
    rkey: str,
    record: Mapping[str, Any],
    object_id: UUID | None = None,
    gift_id: UUID | None = None,
) -> bool:
    """Stores the reply to a mention; False when it has one already, which then stays as it is."""
    added = _SQL.add(
        conn,
        mention_uri=mention_uri,
        account=account,
        rkey=rkey,
        record=Jsonb(dict(record)),
        object_id=object_id,
        gift_id=gift_id,
    )
    return bool(added)


def get(conn: Connection, mention_uri: str) -> Reply | None:
    return _reply(_SQL.get(conn, mention_uri=mention_uri))


def by_uri(conn: Connection, uri: str) -> Reply | None:
    """The reply that was posted under this at:// URI."""
    return _reply(_SQL.by_uri(conn, uri=uri))


def rkey_taken(conn: Connection, account: str, rkey: str) -> bool:
    """Whether the reply to some mention has this record key."""
    return bool(_SQL.rkey_taken(conn, account=account, rkey=rkey))


def begin(conn: Connection, mention_uri: str, account: str, rkey: str) -> datetime | None:
    """Notes that an account sends the reply from now on; None when another one does, or none.

    What it returns is for `put_back`.
    """
    begun: datetime | None = _SQL.begin(conn, mention_uri=mention_uri, account=account, rkey=rkey)
    return begun


def put_back(conn: Connection, mention_uri: str, begun_at: datetime) -> bool:
    """Undoes `begin`, after nothing was written; False when somebody else has begun since."""
    return bool(_SQL.put_back(conn, mention_uri=mention_uri, begun_at=begun_at))


def run_short(conn: Connection, mention_uri: str) -> None:
    """Notes that there were no points for the reply, so that a digest may answer instead."""
    _SQL.run_short(conn, mention_uri=mention_uri)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reply with the payload of its job."""

    reply: Reply
    payload: dict[str, Any]


def short(conn: Connection, most: int) -> list[Waiting]:
    """Replies for which there were no points and that nobody began to send, most urgent first."""
    return [_waiting(row) for row in _SQL.short(conn, most=most)]


def in_digest(conn: Connection, digest_id: UUID) -> list[Waiting]:
    """The replies that a digest stands for, most urgent first."""
    return [_waiting(row) for row in _SQL.in_digest(conn, digest_id=digest_id)]


def into_digest(conn: Connection, mention_uri: str, digest_id: UUID) -> bool:
    """Leaves the answer to a digest; False when the reply is being sent after all."""
    return _SQL.into_digest(conn, mention_uri=mention_uri, digest_id=digest_id) is not None


def out_of_digest(conn: Connection, mention_uri: str, reason: str) -> bool:
    """Notes why a digest that was not sent yet does not answer a mention after all."""
    reason = clean(reason, REASON_LENGTH)
    return bool(_SQL.out_of_digest(conn, mention_uri=mention_uri, reason=reason))


def dissolve(conn: Connection, digest_id: UUID) -> None:
    """Makes the replies of a digest that is not sent wait again, and their jobs due."""
    _SQL.dissolve(conn, digest_id=digest_id)


def offered_in_digest(conn: Connection, uri: str, did: str) -> UUID | None:
    """The offer that a posted digest brought to somebody; None where it is not just one."""
    gift_id: UUID | None = _SQL.offered_in_digest(conn, uri=uri, did=did)
    return gift_id


def mark_sent(conn: Connection, mention_uri: str, uri: str, cid: str) -> bool:
    return bool(_SQL.mark_sent(conn, mention_uri=mention_uri, uri=uri, cid=cid))


def withhold(conn: Connection, mention_uri: str, reason: str) -> bool:
    """Notes why a reply is not sent; False when it has been sent or withheld already."""
    return bool(_SQL.withhold(conn, mention_uri=mention_uri, reason=clean(reason, REASON_LENGTH)))


def _waiting(row: dict[str, Any]) -> Waiting:
    payload = row["payload"]
    known = {name: value for name, value in row.items() if name != "payload"}
    return Waiting(Reply(**{**known, "state": ReplyState(known["state"])}), payload)


def _reply(row: dict[str, Any] | None) -> Reply | None:
    return Reply(**{**row, "state": ReplyState(row["state"])}) if row else None
