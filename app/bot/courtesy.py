"""What a server allows one address, and the part of it that replies leave to everybody else.

Bluesky counts requests by address besides writes by account (3,000 in five minutes). Whoever reads
mentions comes from the same address as whoever replies to them. In a surge replies would use up
everything and be refused, and mentions would not be heard until the window ends; so replies stop
before that, and go on in the next window.
"""

from collections.abc import Mapping
from datetime import datetime

from app.bot.budget import ServerLimit
from app.clock import utcnow
from app.errors import Retry

LEFT_TO_OTHERS = 0.3
"""Share of the address's requests that replies do not use."""


class Courtesy:
    """What the server's last answer said. Thread-safe, as it keeps one value."""

    def __init__(self) -> None:
        self._until: datetime | None = None

    def learn(self, headers: Mapping[str, str]) -> None:
        """Takes note of an answer's `ratelimit-*` headers, where they are about the address."""
        limit = ServerLimit.read(headers)
        if limit is None or limit.of_account:
            return
        scarce = limit.remaining < limit.limit * LEFT_TO_OTHERS
        self._until = limit.reset if scarce else None

    def check(self) -> None:
        """Raises Retry while what is left of the window is for others."""
        until, now = self._until, utcnow()
        if until is not None and now < until:
            raise Retry(until - now, "requests are left to those who read mentions")
