"""What the decision looks at, read from the database: the queue and the bot's write budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from app.autoscaling.policy import Backlog, Signals
from app.bot.budget import PUT, Limits
from app.jobs.queries import SQL
from app.jobs.stats import Level, levels
from app.models import Lane

if TYPE_CHECKING:
    from app.db import Connection


def read(conn: Connection, limits: Limits, accounts: int) -> Signals:
    """The signals of now; `limits` are those of each of the bot's `accounts`."""
    open_jobs = levels(conn)
    return Signals(
        effects=_backlog(open_jobs, Lane.EFFECTS),
        replies=_backlog(open_jobs, Lane.REPLIES),
        sendable=points_left(list(SQL.write_points(conn)), limits, accounts) // PUT,
    )


def points_left(spent: Iterable[Mapping[str, Any]], limits: Limits, accounts: int) -> int:
    """Points that all accounts together may spend now; one that never wrote has no row."""
    left: list[int] = [
        max(0, min(limits.hour - row["hour"], limits.day - row["day"])) for row in spent
    ]
    return sum(left) + max(0, accounts - len(left)) * min(limits.hour, limits.day)


def _backlog(open_jobs: Iterable[Level], lane: Lane) -> Backlog:
    """Delayed jobs are left out: nobody could do them yet."""
    own = [level for level in open_jobs if level.lane is lane]
    return Backlog(
        due=sum(level.due for level in own), oldest=max((level.oldest for level in own), default=0)
    )
