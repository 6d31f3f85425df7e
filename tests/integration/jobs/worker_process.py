"""A worker process for tests that kill it: `python -m tests.integration.jobs.worker_process`."""

from __future__ import annotations

import os
import signal
import threading
import time

from app import logs
from app.db import Database, Transaction
from app.jobs.worker import Worker
from app.models import Job
from app.settings import Settings
from tests.integration.jobs.kit import Do, record


def work(tx: Transaction, job: Job) -> None:
    """Records the effect, then takes its time, so that a kill may fall before the commit."""
    record(tx, job)
    time.sleep(job.payload.get("seconds", 0))


def poison(_tx: Transaction, _job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    settings = Settings.from_env(os.environ)
    logs.configure(settings, "worker")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Database.open(settings) as database:
        handlers = {"test": Do(work), "reply": Do(work), "poison": Do(poison)}
        if not Worker(database, handlers, settings).run(stop):
            os._exit(0)


if __name__ == "__main__":
    main()
