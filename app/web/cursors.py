"""Cursors of keyset paging: the last row of a page, opaque to whoever passes them back."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

LONGEST = 120


class CursorError(ValueError):
    """The text is not a cursor that was given out here."""


@dataclass(frozen=True)
class Cursor:
    at: datetime
    id: UUID

    def encode(self) -> str:
        text = f"{self.at.isoformat()}|{self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises CursorError."""
        try:
            if len(text) > LONGEST:
                raise ValueError
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            at, _, id_ = raw.decode("ascii").partition("|")
            moment = datetime.fromisoformat(at)
            if moment.tzinfo is None:
                raise ValueError
            return cls(moment, UUID(id_))
        except (ValueError, binascii.Error):
            raise CursorError("this cursor was not given out by this API") from None
