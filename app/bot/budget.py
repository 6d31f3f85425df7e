"""The write budget: an account may spend so many points an hour and a day, shared by all workers.

Points are reserved in PostgreSQL before Bluesky is called. Sums slide minute by minute, which is
stricter than the server's fixed windows. Part of the budget is kept for urgent replies, so that a
flood of help requests cannot silence the answers to claims, and the last part for digests, which
answer several people in one post when there are no points left to answer them one by one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog

from app.clock import utcnow
from app.db import Database, Transaction
from app.errors import Retry
from app.models import Priority
from app.repository import budget as points_spent
from app.settings import Settings

T = TypeVar("T")
CREATE, PUT, DELETE = 3, 2, 1
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_MINUTE = timedelta(minutes=1)
# Percentages of each window's points: what is kept for digests, so much of a day that three
# accounts can answer phase 2's 100,000 people, and how much of the rest a priority may use up.
_KEPT = {HOUR: 10, DAY: 22}
_SHARE = {Priority.HIGH: 100, Priority.NORMAL: 90, Priority.LOW: 75}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limits:
    """Points an account may spend in any hour and in any day."""

    hour: int
    day: int

    def of(self, window: timedelta) -> int:
        return self.hour if window == HOUR else self.day


@dataclass(frozen=True)
class ServerLimit:
    """What the server's `ratelimit-*` headers said about one of its windows."""

    limit: int
    remaining: int
    reset: datetime
    window: timedelta

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> "ServerLimit | None":
        """None where the headers are absent or unreadable."""
        try:
            seconds = int(headers["ratelimit-policy"].split(";w=")[1].split(";")[0])
            return cls(
                int(headers["ratelimit-limit"]),
                int(headers["ratelimit-remaining"]),
                datetime.fromtimestamp(int(headers["ratelimit-reset"]), UTC),
                timedelta(seconds=seconds),
            )
        except (KeyError, IndexError, ValueError, OverflowError, OSError):
            return None

    @property
    def of_account(self) -> bool:
        """Whether it is about what an account writes, rather than what an address asks."""
        return self.window in (HOUR, DAY)


def wait_for(
    history: Sequence[tuple[datetime, int]],
    window: timedelta,
    allowed: int,
    points: int,
    now: datetime,
) -> timedelta:
    """How long until `points` more fit into `allowed` within the window; zero when they do now."""
    recent = [(minute, spent) for minute, spent in history if minute > now - window]
    excess = sum(spent for _, spent in recent) + points - allowed
    for minute, spent in recent:
        if excess <= 0:
            break
        excess -= spent
        if excess <= 0:
            return max(minute + window - now, timedelta(seconds=1))
    return timedelta(0) if excess <= 0 else window


class Spent(Retry):
    """There are not enough points now."""


class Budget:
    """The points of one account. Thread-safe."""

    def __init__(self, database: Database, settings: Settings, account: str) -> None:
        self._database = database
        self._account = account
        self._limits = Limits(settings.bluesky_write_points_hour, settings.bluesky_write_points_day)

    def reserve(self, points: int, priority: Priority | None) -> None:
        """Takes points before a write. Without a priority they are for a digest, which may use up
        everything. Raises Spent with the time at which there are enough points.
        """
        self.reserve_and(points, priority, lambda _: None)

    def reserve_and(
        self, points: int, priority: Priority | None, also: Callable[[Transaction], T]
    ) -> T:
        """As `reserve`, and what `also` does is committed with it or not at all."""
        now = utcnow()
        with self._database.transaction() as tx:
            points_spent.lock(tx.conn, self._account)
            spent = dict(
                zip((HOUR, DAY), points_spent.spent(tx.conn, self._account, now), strict=True)
            )
            allowed = {w: _allowed(self._limits.of(w), w, priority) for w in (HOUR, DAY)}
            if all(spent[window] + points <= allowed[window] for window in allowed):
                points_spent.spend(tx.conn, self._account, _minute(now), points)
                return also(tx)
            history = points_spent.history(tx.conn, self._account, now - DAY)
        after = max(wait_for(history, w, allowed[w], points, now) for w in allowed)
        raise Spent(after, f"write budget of {self._account} is spent")

    def learn(self, headers: Mapping[str, str]) -> None:
        """Counts what the server knows was spent and we do not, until its window resets."""
        server = ServerLimit.read(headers)
        if server is None or not server.of_account:
            return
        now = utcnow()
        with self._database.transaction() as tx:
            points_spent.lock(tx.conn, self._account)
            hour, day = points_spent.spent(tx.conn, self._account, now)
            left = self._limits.of(server.window) - (hour if server.window == HOUR else day)
            missing = left - server.remaining
            if missing > 0:
                # Dated so that the points return when the server's window does.
                minute = max(now - server.window + _MINUTE, min(now, server.reset - server.window))
                points_spent.spend(tx.conn, self._account, _minute(minute), missing)
                log.info("write points corrected", account=self._account, points=missing)
            points_spent.forget(tx.conn, self._account, now - 2 * DAY)


def _allowed(limit: int, window: timedelta, priority: Priority | None) -> int:
    """What a priority may use up of a window's points."""
    if priority is None:
        return limit
    return limit * (100 - _KEPT[window]) * _SHARE[priority] // 10_000


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
