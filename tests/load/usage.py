"""What the load takes of this machine: processor by part of the stack, and workers at work."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import psutil

from infra.local.errors import LocalError
from tests import stacks

_PAUSE = 2.0
_NUMBER = re.compile(r"-\d+$")
GENERATOR = "this generator"
OTHERS = "others on this machine"


class Usage:
    """Sampled by a thread of its own while the block lasts."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="usage", daemon=True)
        self._seconds: dict[int, float] = {}
        self._began = self._ended = 0.0
        self.cores: dict[str, float] = {}
        """Cores that each part took on average, from the highest; `worker-1` counts as worker."""
        self.busy = 0.0
        """Part of all the machine's cores that anybody used."""
        self.workers: list[int] = []
        """How many were ready at each look."""

    def __enter__(self) -> Usage:
        psutil.cpu_percent()
        self._began = time.monotonic()
        self._mine = time.process_time()
        self._look(first=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()
        seconds = time.monotonic() - self._began
        self.busy = psutil.cpu_percent() / 100
        self.cores[GENERATOR] = time.process_time() - self._mine
        all_used = self.busy * (psutil.cpu_count() or 1) * seconds
        self.cores[OTHERS] = max(0.0, all_used - sum(self.cores.values()))
        self.cores = {
            name: round(used / seconds, 3)
            for name, used in sorted(self.cores.items(), key=lambda item: -item[1])
        }

    def _sample(self) -> None:
        while not self._done.wait(_PAUSE):
            self._look()

    def _look(self, *, first: bool = False) -> None:
        try:
            pids = stacks.pids(self._root)
        except (LocalError, OSError):
            return  # it is being changed
        self.workers.append(sum(bool(pid) for name, pid in pids.items() if "worker-" in name))
        for name, pid in pids.items():
            for process in _family(pid):
                used = _used(process)
                before = self._seconds.get(process.pid, used if first else 0.0)
                part = _NUMBER.sub("", name)
                self.cores[part] = self.cores.get(part, 0.0) + max(0.0, used - before)
                self._seconds[process.pid] = used


def _family(pid: int) -> list[psutil.Process]:
    try:
        head = psutil.Process(pid) if pid else None
        return [head, *head.children(recursive=True)] if head else []
    except psutil.NoSuchProcess:
        return []


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
