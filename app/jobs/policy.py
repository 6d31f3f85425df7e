"""When a job is tried again, and how waiting makes it more urgent. Pure functions."""

from __future__ import annotations

from datetime import timedelta

from app.models import Priority

MAX_ATTEMPTS = 8
"""Failed attempts after which a job becomes a dead letter."""

LEAST_FIRST = 4
"""Every so many-th time that a worker looks for jobs it takes the least urgent first. So a quarter
of the work in a storm of claims is what they would keep waiting, such as requests for help."""

_FIRST = 1.0
_FACTOR = 3.0
_LONGEST = 600.0
_STEP = 10.0  # seconds; times the priority: the wait for which a job gains one step


def backoff(attempts: int, chance: float) -> timedelta:
    """How long to wait after the `attempts`-th failed attempt: 1 s, 3 s, 9 s ... 10 min.

    `chance` in [0, 1) takes away up to half, so that jobs that failed together do not return
    together. All eight attempts span about a quarter of an hour: longer than a failover or a
    restart of Bluesky's servers, shorter than anybody waits for a reply.
    """
    failures_before = min(max(1, attempts), MAX_ATTEMPTS) - 1
    whole = min(_LONGEST, _FIRST * _FACTOR**failures_before)
    return timedelta(seconds=whole * (1 - chance / 2))


def urgency(priority: Priority, waited: float) -> Priority:
    """The priority that a job counts as after being due for `waited` seconds.

    NORMAL counts as HIGH after 10 s; LOW as NORMAL after 20 s and as HIGH after 40 s.
    """
    if priority == Priority.HIGH:
        return priority
    steps = int(max(0.0, waited) // (_STEP * priority))
    return Priority(max(0, priority - steps))
