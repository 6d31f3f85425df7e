"""gunicorn's configuration for `python -m app web`: `gunicorn --config python:app.gunicorn`.

Threads, because a request mostly waits for PostgreSQL or Redis. Each worker process opens its own
connections after the fork.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gunicorn import glogging
from prometheus_client import multiprocess

from app import logs
from app.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

_settings = Settings.from_env(os.environ).require("port")
logs.configure(_settings, "web")


class Log(glogging.Logger):
    """gunicorn's own messages, in the format of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.propagate = True


bind = f"{_settings.host}:{_settings.port}"
worker_class = "gthread"
workers = _settings.web_workers
threads = _settings.web_threads
timeout = 30
# A deployment waits for pages that are being served, not for idle keep-alive connections.
graceful_timeout = 20
keepalive = 5
backlog = 1024
max_requests = 20_000  # bounds what a leak could cost; jitter keeps workers from ending together
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
# The socket would lie in the home folder, which two stacks share.
control_socket_disable = True
# Requests are measured and logged by the app; gunicorn's own log says what its processes do.
accesslog = None
errorlog = None
logger_class = Log
loglevel = _settings.log_level


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Takes a dead process's live gauges out of /metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def application() -> Flask:
    """What gunicorn calls in each worker process."""
    from app.db import Database
    from app.web import create_app

    return create_app(_settings, Database.open(_settings))
