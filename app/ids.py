"""Ids: UUIDv7 made here, so that rows sort by age and can move between databases unchanged."""

from uuid import UUID

import uuid_utils

SHORT_LENGTH = 8


def new_id() -> UUID:
    return UUID(int=uuid_utils.uuid7().int)


def short(id_: UUID) -> str:
    """The part of an id that people see and type: the last digits, as the first are the time."""
    return id_.hex[-SHORT_LENGTH:]
