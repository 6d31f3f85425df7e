"""Whether a process that once did its work still shows signs of life."""

import time

from infra.local.spec import Liveness


class Pulse:
    """Counts failures in a row, felt at a steady pace.

    Those before the first success count only after `grace` seconds, so that it may start slowly,
    or once it is known to have started.
    """

    def __init__(self, liveness: Liveness, grace: float) -> None:
        self._liveness = liveness
        self._failures = 0
        self._next = time.monotonic()
        self._spared_until = self._next + grace

    @property
    def pause(self) -> float:
        """Seconds until it is to be felt next."""
        return max(0.0, self._next - time.monotonic())

    def started(self) -> None:
        """Ends the grace: what fails from now on did its work before."""
        self._spared_until = min(self._spared_until, time.monotonic())

    def lost(self, error: str | None) -> bool:
        """Takes note of one look, with what was wrong; True when there is no hope left.

        The next look is one interval after the last one was due, however long this one took.
        """
        now = time.monotonic()
        self._next = max(now, self._next + self._liveness.interval_seconds)
        if error is None:
            self._failures, self._spared_until = 0, now
        elif now >= self._spared_until:
            self._failures += 1
        return self._failures >= self._liveness.failures
