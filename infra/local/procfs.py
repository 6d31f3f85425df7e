"""Looks at this machine's processes through /proc, and ends those that belong to a folder.

A process belongs to a folder when its environment carries the folder's marker, when it works in
the folder without a terminal, when it is of the session of one that does, or when it descends
from one. That finds servers which daemonise, clear their environment or start their own session.
"""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from infra.local.errors import LocalError

FOLDER_MARKER = "ETCETERA_FOLDER"
DIGEST_MARKER = "ETCETERA_DIGEST"

_PROC = Path("/proc")


@dataclass(frozen=True)
class Seen:
    """A process at one moment; equal to the same process at another moment.

    `birth` tells it from a later one with the same pid.
    """

    pid: int
    birth: str
    parent: int = field(compare=False)
    session: int = field(compare=False)
    terminal: int = field(compare=False)
    zombie: bool = field(compare=False)


def look(pid: int) -> Seen | None:
    """The process with this pid, or None when there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (OSError, ValueError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return Seen(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        terminal=int(fields[4]),
        zombie=fields[0] in "ZX",
        birth=f"{_boot()}:{fields[19]}",
    )


_YOUNG_SECONDS = 10
_marked: dict[Seen, dict[str, str]] = {}


def lives(pid: int, birth: str) -> bool:
    """Whether the very process that had this pid at that birth still runs."""
    seen = look(pid) if pid else None
    return seen is not None and not seen.zombie and seen.birth == birth


def everybody() -> list[Seen]:
    pids = (int(path.name) for path in _PROC.iterdir() if path.name.isdigit())
    return [seen for seen in map(look, pids) if seen is not None]


def marks(pid: int) -> dict[str, str]:
    """Our markers in the environment that the process was started with."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in environment.split(b"\0"))
    return {
        key.decode(): value.decode(errors="replace")
        for key, _, value in pairs
        if key in (FOLDER_MARKER.encode(), DIGEST_MARKER.encode())
    }


def _lasting_marks(one: Seen) -> dict[str, str]:
    """As `marks`, but read only once from a process that has run for a while.

    A young one may be about to become another program; later none gets a mark any more, though some
    wipe theirs out. Reading environments is most of what a look at everybody costs.
    """
    if one in _marked:
        return _marked[one]
    found = marks(one.pid)
    if _age(one) > _YOUNG_SECONDS:
        _marked[one] = found
    return found


def _age(one: Seen) -> float:
    ticks = int(one.birth.partition(":")[2])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def descendants(of: Iterable[int], everyone: Iterable[Seen]) -> set[Seen]:
    """Those among everyone that these processes have started, directly or not."""
    children: defaultdict[int, list[Seen]] = defaultdict(list)
    for one in everyone:
        children[one.parent].append(one)
    found: set[Seen] = set()
    queue = list(of)
    while queue:
        for child in children[queue.pop()]:
            if child not in found:
                found.add(child)
                queue.append(child.pid)
    return found


def members(folder: Path, session: int = 0, kin: Collection[Seen] = ()) -> list[Seen]:
    """The living processes that belong to the folder.

    Also those of the session that a leader left, and those of `kin` that still live: relatives
    seen earlier, which nothing may connect with the folder any more.
    """
    seen = {one.pid: one for one in everybody() if not one.zombie}
    for one in list(_marked):  # a copy, for other threads look as well
        if one != seen.get(one.pid):
            _marked.pop(one, None)
    spared = _ancestors(seen)
    found = {
        pid
        for pid, one in seen.items()
        if pid not in spared and (one in kin or _belongs(one, folder))
    }
    sessions = {seen[pid].session for pid in found if seen[pid].session == pid} | {session}
    found |= {pid for pid, one in seen.items() if one.session and one.session in sessions}
    found |= {one.pid for one in descendants(found, seen.values())}
    return [seen[pid] for pid in found - spared]


def started_for(folder: Path) -> tuple[Seen, str] | None:
    """The folder's main process and the digest it was started with, by their marks."""
    for one in members(folder):
        digest = marks(one.pid).get(DIGEST_MARKER)
        if digest and one.session == one.pid:
            return one, digest
    return None


def end(folder: Path, *, session: int = 0, kin: Collection[Seen] = (), grace: float = 0) -> None:
    """Ends all `members` of the folder: SIGTERM for `grace` seconds, then SIGKILL.

    Returns when they are gone. Raises `LocalError` when one survives, as in uninterruptible sleep.
    """
    began = time.monotonic()
    asked: set[int] = set()
    while left := members(folder, session, kin):
        waited = time.monotonic() - began
        for one in left:
            if waited >= grace:
                _signal(one.pid, signal.SIGKILL)
            elif one.pid not in asked:
                asked.add(one.pid)
                _signal(one.pid, signal.SIGTERM)
        if waited > grace + 10:
            pids = ", ".join(str(one.pid) for one in left)
            raise LocalError(f"cannot end process {pids} of {folder}: SIGKILL has no effect")
        time.sleep(0.01)


def _belongs(one: Seen, folder: Path) -> bool:
    if _lasting_marks(one).get(FOLDER_MARKER) == str(folder):
        return True
    if one.terminal:
        return False  # somebody's shell that happens to be there
    with suppress(OSError):
        where = str((_PROC / str(one.pid) / "cwd").readlink()).removesuffix(" (deleted)")
        return where == str(folder) or where.startswith(f"{folder}/")
    return False


def _ancestors(seen: dict[int, Seen]) -> set[int]:
    pid, found = os.getpid(), {0, 1}
    while pid in seen and pid not in found:
        found.add(pid)
        pid = seen[pid].parent
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


@cache
def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
