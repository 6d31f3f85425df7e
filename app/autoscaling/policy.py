"""The decision how many workers are wanted. A pure function of what is seen and what was decided.

Up at once, by as many as the depth of a lane demands or by one while its oldest job waits too long;
down one at a time, after a calm in which one fewer would have done. A removal that soon had to be
undone makes the next calm last longer, so that a load between two sizes does not swing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Literal

Direction = Literal["up", "down", "keep"]

WARMUP_SECONDS = 5.0
"""What a new worker takes until it shows in the figures; age alone asks for no other before."""

LONGEST_PATIENCE = 8
"""The calm lasts at most so many times as long as configured; a removal that was not undone for as
long has held. A shorter time would miss a backlog that grows slowly."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between how many workers, and what is too much for those there are."""

    least: int
    most: int
    oldest_seconds: float
    jobs_per_worker: int
    calm_seconds: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """Due jobs of a lane that nobody does yet; `oldest`: seconds the first of them has waited."""

    due: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Signals:
    """What the decision looks at. `sendable`: replies that the bot's write budget still allows."""

    effects: Backlog
    replies: Backlog
    sendable: int

    @property
    def doable(self) -> tuple[Backlog, Backlog]:
        """What more workers would help with: not with replies that cannot be sent anyway."""
        waiting = self.replies.oldest if self.sendable else 0.0
        return self.effects, Backlog(min(self.replies.due, self.sendable), waiting)


@dataclass(frozen=True, slots=True)
class State:
    """What was decided so far. Times are in seconds on one clock.

    `calm_since`: from when on one worker fewer would have done. `patience`: how many times
    `calm_seconds` a calm has to last.
    """

    size: int
    calm_since: float
    grown_at: float = -inf
    shrunk_at: float = -inf
    patience: int = 1


@dataclass(frozen=True, slots=True)
class Decision:
    state: State
    direction: Direction
    reason: str


def decide(state: State, signals: Signals, bounds: Bounds, now: float) -> Decision:
    """The next state. More or older jobs never make it smaller; it never leaves the bounds."""
    size = min(max(state.size, bounds.least), bounds.most)
    if size != state.size:
        moved = replace(state, size=size, calm_since=now)
        return Decision(moved, "up" if size > state.size else "down", "bounds")

    depth, late = _pressure(signals.doable, bounds)
    wanted = depth
    if late and now - state.grown_at >= WARMUP_SECONDS:
        wanted = max(depth, size + 1)
    if wanted > size:
        if size == bounds.most:
            return Decision(replace(state, calm_since=now), "keep", "most")
        grown = replace(
            state,
            size=min(wanted, bounds.most),
            calm_since=now,
            grown_at=now,
            patience=_patience(state, bounds, now),
        )
        return Decision(grown, "up", "depth" if depth > size else "age")

    if late or depth >= size:
        return Decision(replace(state, calm_since=now), "keep", "steady")
    calm = now - state.calm_since >= bounds.calm_seconds * state.patience
    if calm and size > bounds.least:
        shrunk = replace(state, size=size - 1, calm_since=now, shrunk_at=now)
        return Decision(shrunk, "down", "calm")
    unsent, unsent_late = _pressure((signals.replies,), bounds)
    withheld = unsent > size or unsent_late
    return Decision(state, "keep", "budget" if withheld else "steady")


def _pressure(lanes: tuple[Backlog, ...], bounds: Bounds) -> tuple[int, bool]:
    """Workers that the fullest lane needs, and whether a job waits too long.

    Not the sum over lanes: a worker works on all of them side by side, in threads of their own.
    """
    depth = max(ceil(lane.due / bounds.jobs_per_worker) for lane in lanes)
    return depth, any(lane.oldest > bounds.oldest_seconds for lane in lanes)


def _patience(state: State, bounds: Bounds, now: float) -> int:
    """Twice as long when this undoes a removal that has not held; short again when it has."""
    if state.shrunk_at < state.grown_at or state.shrunk_at == -inf:
        return state.patience
    held = now - state.shrunk_at >= bounds.calm_seconds * LONGEST_PATIENCE
    return 1 if held else min(2 * state.patience, LONGEST_PATIENCE)
