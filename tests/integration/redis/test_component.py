"""Decides that the Redis component gives a cluster that is whole, stays as it is, and mends itself.

Its processes are real, kept by a supervisor of their own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pulumi
import pytest

from app.redis import ERRORS, answers, connect
from components.redis import Redis, RedisArgs
from components.target import Binaries, LocalTarget
from infra.engine import deploy, program
from infra.engine.deploy import Done
from infra.phases import PHASES
from tests.integration.jobs.kit import eventually
from tests.servers import free_base
from tests.stacks import changed, destroy, pids

pytestmark = pytest.mark.integration

PORT_BASE = free_base()
WOUNDED = ("redis-1", "redis-2")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "stack"
    yield root
    destroy(root)
    assert not root.exists()


def up(root: Path) -> tuple[str, list[Done]]:
    """Deploys the component alone; its URL, and what was done."""
    done: list[Done] = []
    monitor = deploy.UpMonitor(lambda _: None, done.append)

    def declare() -> None:
        size = PHASES[2].redis
        assert size is not None
        redis = Redis("redis", RedisArgs(size), LocalTarget(root, PORT_BASE, Binaries()))
        pulumi.export("url", redis.outputs.url)

    program.run(monitor, "test", {}, preview=False, program=declare)
    return str(monitor.outputs.values["url"]), done


def whole(client: Any) -> bool:
    try:
        return answers(client) and all(client.set(f"key {n}", "x") for n in range(100))
    except ERRORS:
        return False


def replaced(root: Path, name: str, pid: int) -> bool:
    return pids(root)[name] not in (0, pid)


def test_it_is_whole_when_it_is_up_and_stays_and_mends_what_hangs_or_forgets(root: Path) -> None:
    url, _ = up(root)
    before = pids(root)
    with closing(connect(url, timeout=1)) as client:
        assert whole(client)
        assert changed(up(root)[1]) == []
        os.kill(before["redis-1"], signal.SIGSTOP)
        (root / "run" / "redis-2" / "nodes.conf").unlink()
        os.kill(before["redis-2"], signal.SIGKILL)
        eventually(lambda: all(replaced(root, name, before[name]) for name in WOUNDED))
        # One is back by itself, the other waits to be taken in.
        assert changed(up(root)[1]) == ["update redis-cluster"]
        assert whole(client)
    assert changed(up(root)[1]) == []
