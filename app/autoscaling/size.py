"""The file through which the wanted size reaches whoever starts and stops workers."""

from __future__ import annotations

import os
from pathlib import Path


class SizeFile:
    """A number in a file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int | None:
        """None where there is no number yet."""
        try:
            return int(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def write(self, size: int) -> None:
        """Raises OSError; the file then has its old content."""
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        with part.open("w") as file:
            file.write(f"{size}\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
