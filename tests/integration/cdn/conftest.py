"""A CDN of real nginx, and an origin that counts what it is asked."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from components import nginx
from components.cdn.local import SCRIPT, configuration
from infra.phases import CdnSize
from tests.servers import NginxServer, free_port, nginx_server

TOKEN = "a-token-for-tests"
LONG = "public, max-age=3600"


def eventually(check: Callable[[], object], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.05)
    return False


@dataclass
class Answer:
    text: str = "hello"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Cache-Control": LONG})
    status: int = 200
    seconds: float = 0


@dataclass
class Request:
    method: str
    path: str
    headers: Message
    body: bytes


class Origin:
    """Answers every path with `answer`, and remembers the requests."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Answer] = lambda _: Answer()
        self.requests: list[Request] = []
        self._port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self._connections: list[socket.socket] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def says(
        self, text: str = "hello", *, status: int = 200, seconds: float = 0, **headers: str
    ) -> None:
        """Answers so from now on; keywords are headers, with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if not named:
            named = {"Cache-Control": LONG}
        self.answer = lambda _: Answer(text, named, status, seconds)

    def asked(self, path: str | None = None) -> int:
        return len([one for one in self.requests if path in (None, one.path)])

    def start(self) -> None:
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                origin._connections.append(self.request)
                super().setup()

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(self.command, self.path, self.headers, self.rfile.read(length))
                origin.requests.append(request)
                answer = origin.answer(request)
                time.sleep(answer.seconds)
                headers = dict(answer.headers)
                etag = headers.get("ETag")
                if etag and etag == self.headers.get("If-None-Match"):
                    answer = Answer("", status=304)
                body = answer.text.encode()
                if body and "gzip" in self.headers.get("Accept-Encoding", ""):
                    body = gzip.compress(body)
                    headers["Content-Encoding"] = "gzip"
                self.send_response(answer.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if answer.status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()


@dataclass
class Cdn:
    """What visitors and operators can do with a CDN."""

    server: NginxServer
    operations: str
    # A connection for each visit, as of different people.
    http: httpx.Client = field(
        default_factory=lambda: httpx.Client(
            timeout=60, limits=httpx.Limits(max_keepalive_connections=0)
        )
    )

    def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.http.cookies.clear()
        return self.http.get(self.server.url + path, headers=named)

    def cache(self, path: str, **headers: str) -> str:
        """What the cache had for this address."""
        return self.get(path, **headers).headers["X-Cache"]

    def purge(self, token: str | None = TOKEN, /, **wanted: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return self.http.post(f"{self.operations}/purge", json=wanted, headers=headers)

    def metrics(self) -> dict[str, float]:
        """Values by name and labels, as Prometheus reads them."""
        text = self.http.get(f"{self.operations}/metrics").text
        return {
            "/".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture
def origin() -> Iterator[Origin]:
    made = Origin()
    made.start()
    yield made
    made.stop()


@contextmanager
def cdn_before(
    address: str, cache_mb: int = 16, files: Mapping[str, str] | None = None
) -> Iterator[Cdn]:
    operations = free_port()
    with nginx_server(
        lambda port: configuration(CdnSize(cache_mb), address, port, operations),
        {
            "cdn.js": SCRIPT,
            "token": TOKEN,
            "pages/unavailable.html": nginx.UNAVAILABLE,
            **(files or {}),
        },
    ) as server:
        made = Cdn(server, f"http://127.0.0.1:{operations}")
        with made.http:
            yield made


@pytest.fixture
def cdn(origin: Origin) -> Iterator[Cdn]:
    with cdn_before(origin.address) as made:
        yield made
