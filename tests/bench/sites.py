"""Web servers started for a measurement: gunicorn as the app's web role runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

READY_SECONDS = 30.0
STOP_SECONDS = 30.0


@contextmanager
def site(
    application: str, port: int, folder: Path, environment: Mapping[str, str], ready: str
) -> Iterator[None]:
    """Serves `module:call` on a loopback port until the block ends; its log is in `folder`.

    `ready` is a path that answers once it serves.
    """
    metrics = folder / "metrics"
    metrics.mkdir(parents=True)
    variables = dict(environment) | {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "python:app.gunicorn", application]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait(f"http://127.0.0.1:{port}{ready}", process, folder / "log")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer:\n{log.read_text()[-2000:]}")
