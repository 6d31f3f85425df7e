"""People, by DID."""

import re
from typing import Any

from app.db import Connection
from app.models import User
from app.repository import clean, load

_SQL = load("users")

HANDLE_LENGTH = 253  # of a domain name
DISPLAY_NAME_LENGTH = 256
INVALID_HANDLE = "handle.invalid"  # what Bluesky shows for a handle that does not check out
_HANDLE = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._-]", re.ASCII)
_DID_LENGTH = 2048


def valid_handle(handle: str) -> bool:
    """Whether it is a handle by the AT Protocol's rules (in lower case, without @)."""
    return len(handle) <= HANDLE_LENGTH and _HANDLE.fullmatch(handle) is not None


def valid_did(did: str) -> bool:
    return len(did) <= _DID_LENGTH and _DID.fullmatch(did) is not None


def ensure(conn: Connection, did: str, handle: str, display_name: str | None = None) -> User:
    """The user of this DID, made or brought up to date.

    A handle that is none becomes `handle.invalid`; raises ValueError for a DID that is none.
    """
    if not valid_did(did):
        raise ValueError("not a DID")
    handle = handle.removeprefix("@").lower()
    row = _SQL.ensure(
        conn,
        did=did,
        handle=handle if valid_handle(handle) else INVALID_HANDLE,
        display_name=clean(display_name, DISPLAY_NAME_LENGTH) if display_name else None,
    )
    if row is None:
        # Somebody else added the row after this statement had begun; now it can be seen.
        row = _SQL.get(conn, did=did)
    return User(**row)


def get(conn: Connection, did: str) -> User | None:
    return _user(_SQL.get(conn, did=clean(did, _DID_LENGTH)))


def by_handle(conn: Connection, handle: str) -> User | None:
    """Who was last seen with this handle, in any case, with or without @."""
    handle = handle.removeprefix("@").lower()
    return _user(_SQL.by_handle(conn, handle=handle)) if valid_handle(handle) else None


def opt_out(conn: Connection, did: str) -> User | None:
    return _user(_SQL.opt_out(conn, did=did))


def opt_in(conn: Connection, did: str) -> User | None:
    return _user(_SQL.opt_in(conn, did=did))


def _user(row: dict[str, Any] | None) -> User | None:
    return User(**row) if row else None
