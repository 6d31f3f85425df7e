"""What was acknowledged, in a file outside the stack: written after the commit, never changed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path


class Ledger:
    """Lines of JSON, on the disk when `note` returns. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def note(self, kind: str, key: str, value: str) -> None:
        """The write of `value` under `key` was acknowledged."""
        line = json.dumps([kind, key, value]).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            os.fsync(self._file.fileno())

    def read(self, kind: str) -> Iterator[tuple[str, str]]:
        """Keys and values of a kind, in order."""
        for line in self._path.read_text().splitlines():
            found, key, value = json.loads(line)
            if found == kind:
                yield key, value

    def close(self) -> None:
        self._file.close()
