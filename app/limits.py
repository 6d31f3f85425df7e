"""How often one person may command the bot: ten mentions a minute, one "slow down", then silence.

The inbox in PostgreSQL is the counter. It is shared by all workers, needs no Redis, and gives the
same verdict when a job is tried again; a limiter in memory or in Redis would count the retry too.
It costs one index lookup per command.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any

import aiosql

from app.db import Connection
from app.models import Mention

_SQL: Any = aiosql.from_path(Path(__file__).parent / "queries" / "limits.sql", "psycopg")

WINDOW = timedelta(minutes=1)


class Verdict(Enum):
    ALLOWED = auto()
    SLOW_DOWN = auto()
    """The first mention over the limit: say so, do nothing else."""
    SILENT = auto()
    """Over the limit, and already told."""


def check(conn: Connection, mention: Mention) -> Verdict:
    """What to do with a stored mention, judged by its author's mentions up to this one."""
    rows = _SQL.recent_mentions(conn, did=mention.author_did, uri=mention.uri)
    return judge([(row["at"], row["tenth_before"]) for row in rows])


def judge(mentions: Sequence[tuple[datetime, datetime | None]]) -> Verdict:
    """The verdict on the last of one author's mentions.

    Each is the time of a mention and of the tenth before it; in order, all of the last two windows.
    """
    over = [tenth is not None and at - tenth < WINDOW for at, tenth in mentions]
    if not mentions or not over[-1]:
        return Verdict.ALLOWED
    now = mentions[-1][0]
    told = any(
        was_over and now - at < WINDOW
        for was_over, (at, _) in zip(over[:-1], mentions[:-1], strict=True)
    )
    return Verdict.SILENT if told else Verdict.SLOW_DOWN
