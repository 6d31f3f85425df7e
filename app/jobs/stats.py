"""How full the queue is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.jobs.queries import SQL
from app.models import Lane, Priority

if TYPE_CHECKING:
    from app.db import Connection


@dataclass(frozen=True, slots=True)
class Level:
    """Open jobs of a lane and priority; `oldest`: seconds that the oldest due one has waited."""

    lane: Lane
    priority: Priority
    delayed: int
    due: int
    leased: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Stats:
    """The queue now. `done` counts the last hour."""

    levels: tuple[Level, ...]
    dead: int
    done: int


def levels(conn: Connection) -> tuple[Level, ...]:
    """Open jobs by lane and priority."""
    return tuple(
        Level(
            Lane(row["lane"]),
            Priority(row["priority"]),
            row["delayed"],
            row["due"],
            row["leased"],
            row["oldest"],
        )
        for row in SQL.depth(conn)
    )


def stats(conn: Connection) -> Stats:
    return Stats(levels(conn), dead=SQL.dead_count(conn), done=SQL.done_count(conn, seconds=3600))
