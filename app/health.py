"""Health and metrics of the processes that serve no pages: ingest and worker.

`/healthz`: the process is alive, i.e. its loops have come round lately. `/readyz`: PostgreSQL
answers; a lost Redis only degrades. `/metrics`: Prometheus text.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import structlog

from app import metrics
from app.db import Database
from app.redis import ERRORS, answers, connect
from app.settings import Settings

log = structlog.get_logger(__name__)

_REDIS_SECONDS = 0.5
_DATABASE_SECONDS = 2.0


class Pulse:
    """When the loops of this process last came round. Thread-safe."""

    def __init__(self) -> None:
        self._beats: dict[str, tuple[float, float]] = {}

    def beat(self, loop: str, *, within: float) -> None:
        """The loop is alive, and will say so again `within` seconds."""
        self._beats[loop] = (time.monotonic(), within)

    def silent(self) -> dict[str, float]:
        """The loops that are overdue, with the seconds since their last beat."""
        now = time.monotonic()
        return {
            loop: round(now - at, 1)
            for loop, (at, within) in self._beats.copy().items()
            if now - at > within
        }


PULSE = Pulse()
"""Of this process."""


def liveness(pulse: Pulse) -> tuple[int, dict[str, Any]]:
    """Status and body of /healthz: whether every loop still gives signs of life."""
    silent = pulse.silent()
    if silent:
        return 503, {"status": "stuck", "silent_seconds": silent}
    return 200, {"status": "ok"}


class JsonHandler(BaseHTTPRequestHandler):
    """How the app's small servers for machines answer."""

    server_version = "etcetera"
    sys_version = ""

    def send_json(self, status: int, body: Any) -> None:
        self.send(status, "application/json", json.dumps(body).encode() + b"\n")

    def send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("request", request=format % args)


class HealthServer:
    """A small HTTP server in a daemon thread."""

    def __init__(
        self, settings: Settings, database: Database, *, port: int, pulse: Pulse = PULSE
    ) -> None:
        checks = _Checks(settings, database, pulse)

        class Handler(_Handler):
            answers = checks

        self._server = ThreadingHTTPServer((settings.host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> HealthServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Checks:
    def __init__(self, settings: Settings, database: Database, pulse: Pulse) -> None:
        self._settings = settings
        self._database = database
        self._pulse = pulse

    def healthz(self) -> tuple[int, dict[str, Any]]:
        return liveness(self._pulse)

    def readyz(self) -> tuple[int, dict[str, Any]]:
        parts = {"database": self._database_up(), "redis": self._redis_up()}
        shown = {name: "ok" if up else "lost" for name, up in parts.items() if up is not None}
        if not parts["database"]:
            return 503, {"status": "down", **shown}
        return 200, {"status": "degraded" if parts["redis"] is False else "ok", **shown}

    def metrics(self) -> bytes:
        return metrics.expose(self._database, self._settings)

    def _database_up(self) -> bool:
        try:
            with self._database.read(fresh=True, timeout=_DATABASE_SECONDS) as conn:
                conn.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _redis_up(self) -> bool | None:
        if self._settings.redis_url is None:
            return None
        client: Any = None
        try:
            client = connect(self._settings.redis_url.get_secret_value(), timeout=_REDIS_SECONDS)
            return answers(client)
        except ERRORS:
            return False
        finally:
            if client is not None:
                client.close()


class _Handler(JsonHandler):
    answers: _Checks

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self.send(200, metrics.CONTENT_TYPE, self.answers.metrics())
        elif path == "/healthz":
            self.send_json(*self.answers.healthz())
        elif path == "/readyz":
            self.send_json(*self.answers.readyz())
        else:
            self.send_json(404, {"error": "try /healthz, /readyz or /metrics"})
