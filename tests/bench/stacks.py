"""The stacks that are measured: both phases side by side, as `scripts/up` deploys them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from infra.phases import PHASES, Phase
from tests import stacks


@dataclass(frozen=True)
class Stack:
    """A stack that is up."""

    phase: Phase
    root: Path
    port_base: int
    outputs: dict[str, Any]

    @property
    def name(self) -> str:
        return self.phase.name

    @property
    def database_url(self) -> str:
        return str(self.outputs["database_url"])

    @property
    def redis_url(self) -> str:
        return str(self.outputs["redis_url"])

    @property
    def bluesky_url(self) -> str:
        return str(self.outputs["endpoints"]["bluesky_url"])

    @property
    def bot(self) -> str:
        return str(self.outputs["bot_handle"])

    @property
    def edge(self) -> int:
        """The port people's browsers talk to."""
        return int(urlsplit(self.outputs["web_url"]).port or 80)

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """What the web processes have counted since their start, by name and labels."""
        text = httpx.get(self.outputs["endpoints"]["metrics"]["web"], timeout=30).text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def processor_seconds(self) -> dict[str, float]:
        """Processor time of each process of the stack with its children, by name."""
        return {name: _used(pid) for name, pid in stacks.pids(self.root).items() if pid}


@contextmanager
def running(phase: int, folder: Path, port_base: int) -> Iterator[Stack]:
    """The phase's stack, with its own sizes and without the write limits of bsky.social."""
    root = folder / PHASES[phase].name
    with stacks.running(root, port_base, phase=str(phase), blueskyLimits="off") as outputs:
        yield Stack(PHASES[phase], root, port_base, outputs)


def _used(pid: int) -> float:
    total = 0.0
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            times = one.cpu_times()
            # Those of children that have ended, too: gunicorn renews its processes.
            total += times.user + times.system + times.children_user + times.children_system
    except psutil.NoSuchProcess:
        pass
    return total
