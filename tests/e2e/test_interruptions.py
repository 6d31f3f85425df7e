"""`up` may die at any moment: the next one converges, the one after changes nothing, and destroy
leaves nothing behind. Also: a whole stack under random kills keeps every promise (short form of
`scripts/chaos`)."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from components.target import PORTS
from tests import chaos
from tests.servers import free_base
from tests.stacks import changed, destroy, up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PORT_BASE = free_base()


def test_an_up_killed_at_any_moment_is_finished_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "stack"
    chance = random.Random(2)
    try:
        for _ in range(5):
            interrupted = subprocess.Popen(
                [sys.executable, "-m", "tests.stacks", "up", root, str(PORT_BASE), "phase=1"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(chance.uniform(0.5, 6))
            interrupted.kill()
            interrupted.wait()
            if chance.random() < 0.5:
                _kill_supervisors(root)
        outputs, _ = up(root, PORT_BASE, phase="1")
        assert outputs["phase"] == 1
        _, done = up(root, PORT_BASE, phase="1")
        assert changed(done) == []
    finally:
        destroy(root)
    _assert_nothing_is_left(root)


def test_destroy_after_an_interrupted_up_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "stack"
    interrupted = subprocess.Popen(
        [sys.executable, "-m", "tests.stacks", "up", root, str(PORT_BASE), "phase=0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2)
    interrupted.kill()
    interrupted.wait()
    destroy(root)
    _assert_nothing_is_left(root)


def test_random_kills_lose_nothing_and_double_nothing() -> None:
    said: list[str] = []
    report = chaos.run(
        mentions=48,
        seed=3,
        say=said.append,
        port_base=free_base(),
        pause=5.0,
        patience=600,
        kills=12,
    )
    assert report.kills.total() > 0
    assert report.broken == [], said[-1]


def _kill_supervisors(root: Path) -> None:
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if "infra.local.supervisor" in command and str(root) in command:
            os.kill(process.pid, signal.SIGKILL)


def _assert_nothing_is_left(root: Path) -> None:
    assert not root.exists()
    # A supervisor that the killed `up` was just starting finds no stack and ends by itself.
    deadline = time.monotonic() + 60
    while (left := _processes_of(root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert not root.exists()
    for offset in PORTS.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", PORT_BASE + offset))


def _processes_of(root: Path) -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(root) in " ".join([*process.cmdline(), process.cwd()]):
                found.append(process.cmdline())
        except (psutil.Error, OSError):
            continue
    return found
