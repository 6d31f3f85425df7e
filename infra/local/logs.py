"""Logs of processes: rotated by size, and quoted in errors without secrets.

A process writes to its log file directly, so that it outlives the supervisor. Rotation therefore
copies and truncates; lines written in that instant may be lost.
"""

import os
import shutil
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

LIMIT_BYTES = 10_000_000
KEPT = 3


def rotate(path: Path, limit: int = LIMIT_BYTES, kept: int = KEPT) -> None:
    """Moves the content to PATH.1, PATH.1 to PATH.2 and so on, when the file exceeds the limit."""
    try:
        if path.stat().st_size <= limit:
            return
    except FileNotFoundError:
        return
    older = [path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1)]
    for source, target in reversed(list(pairwise(older))):
        if source.exists():
            source.replace(target)
    older[0].touch(mode=0o600)
    with path.open("rb") as log, older[0].open("wb") as copy:
        shutil.copyfileobj(log, copy)
    os.truncate(path, 0)


def tail(path: Path, lines: int = 15, redact: Collection[str] = ()) -> str:
    """The last lines, indented, with each text of `redact` and passwords of URLs in it hidden."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    for hidden in sorted(_hidden(redact), key=len, reverse=True):
        text = text.replace(hidden, "[secret]")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def _hidden(texts: Collection[str]) -> set[str]:
    hidden = set(texts)
    for text in texts:
        try:
            password = urlsplit(text).password
        except ValueError:
            continue
        if password:
            hidden |= {password, unquote(password)}
    return {text for text in hidden if len(text) > 3}
