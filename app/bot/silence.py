"""What is known of a server that does not answer, so that not every thread waits to learn it."""

import threading
import time
from datetime import timedelta

from app.errors import Retry

OUTAGE = timedelta(seconds=5)
"""How long a server that did not answer is left alone."""


class Silence:
    """Once in a while one caller passes, to try again. Thread-safe."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """While the server is silent: raises Retry for all callers but the one that may try."""
        with self._lock:
            if self._until is None:
                return
            if time.monotonic() < self._until:
                raise Retry(OUTAGE, "Bluesky did not answer lately")
            self._until = time.monotonic() + OUTAGE.total_seconds()

    def begin(self) -> None:
        with self._lock:
            self._until = time.monotonic() + OUTAGE.total_seconds()

    def end(self) -> None:
        with self._lock:
            self._until = None
