"""What the monitor tells: verdicts and samples as JSON, its own metrics, where to scrape.

`/slo?window=600` judges the last so many seconds, `/samples?since=UNIXTIME` are the charts'
values, `/targets` is Prometheus's HTTP service discovery; and `/healthz`, `/readyz`, `/metrics`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from app.health import PULSE, JsonHandler, liveness
from app.metrics import CONTENT_TYPE
from app.monitor.objectives import figures, judge
from app.monitor.watch import KEPT_SECONDS, OWN, Monitor

WINDOW_SECONDS = 600.0


class Server:
    """A small HTTP server in daemon threads."""

    def __init__(self, monitor: Monitor, host: str, port: int) -> None:
        class Handler(_Handler):
            answers = Answers(monitor, f"{host}:{port}")

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class QueryError(ValueError):
    """The query makes no sense; the message says what would."""


class Answers:
    """The answers by path; JSON, but for the metrics."""

    def __init__(self, monitor: Monitor, address: str) -> None:
        self._monitor = monitor
        self._address = address
        self.paths = {
            "/slo": self.slo,
            "/samples": self.samples,
            "/targets": self.targets,
            "/healthz": self.healthz,
            "/readyz": self.readyz,
        }

    def metrics(self) -> bytes:
        return self._monitor.figures.expose()

    def slo(self, query: Mapping[str, str]) -> tuple[int, Any]:
        seconds = _number(query, "window", WINDOW_SECONDS, 1, KEPT_SECONDS)
        now = time.time()
        window = self._monitor.history.window(seconds, now)
        return 200, {
            "at": now,
            "window_seconds": seconds,
            "watched_seconds": round(window.seconds, 1),
            "objectives": [asdict(found) for found in judge(window, self._monitor.objectives)],
            "figures": [asdict(found) for found in figures(window)],
        }

    def samples(self, query: Mapping[str, str]) -> tuple[int, Any]:
        since = _number(query, "since", 0, 0, float("inf"))
        return 200, [
            {"at": at, "series": one.series, "label": one.label, "value": one.value}
            for at, drawn in list(self._monitor.charts)
            if at > since
            for one in drawn
        ]

    def targets(self, _: Mapping[str, str]) -> tuple[int, Any]:
        urls = {**self._monitor.targets, OWN: f"http://{self._address}/metrics"}
        return 200, [
            {
                "targets": [parts.netloc],
                "labels": {"part": name, "__metrics_path__": parts.path},
            }
            for name, parts in ((name, urlsplit(url)) for name, url in urls.items())
        ]

    def healthz(self, _: Mapping[str, str]) -> tuple[int, Any]:
        return liveness(PULSE)

    def readyz(self, _: Mapping[str, str]) -> tuple[int, Any]:
        """Ready with the first look, whatever that found."""
        return (
            (200, {"status": "ok"}) if self._monitor.looked.is_set() else (503, {"status": "down"})
        )


def _number(
    query: Mapping[str, str], name: str, default: float, least: float, most: float
) -> float:
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise QueryError(f"{name}: use a number from {least:g} to {most:g}")
    return value


class _Handler(JsonHandler):
    answers: Answers

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        parts = urlsplit(self.path)
        if parts.path == "/metrics":
            self.send(200, CONTENT_TYPE, self.answers.metrics())
            return
        answer = self.answers.paths.get(parts.path)
        try:
            status, body = (
                answer(dict(parse_qsl(parts.query)))
                if answer
                else (404, {"error": f"try {', '.join(self.answers.paths)} or /metrics"})
            )
        except QueryError as error:
            status, body = 400, {"error": str(error)}
        self.send_json(status, body)
