"""Decides what each kind of probe takes for ready. Servers here are sockets of this process."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.local.probes import ask
from infra.local.spec import Probe


def _never(_: Sequence[str], __: float) -> int:
    raise AssertionError("no command should run")


@contextmanager
def _answering(*parts: bytes) -> Iterator[int]:
    """A server that sends the parts and then nothing, keeping the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # closed by a test that has seen enough
                connection, _ = server.accept()
                with connection:
                    for part in parts:
                        connection.sendall(part)
                    connection.recv(100)
                    connection.recv(100)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]


@pytest.fixture
def http() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path[1:]))
            self.send_header("Location", "/500")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("status", "good"), [(200, True), (302, True), (404, False), (503, False)])
def test_http_is_ready_below_400(http: str, status: int, good: bool) -> None:
    error = ask(Probe(http=f"{http}/{status}"), _never)
    assert (error is None) == good
    assert good or str(status) in str(error)


def test_nothing_listening_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ask(Probe(tcp=port), _never)
    assert ask(Probe(http=f"http://127.0.0.1:{port}/"), _never)


def test_nothing_listening_is_fine_where_only_silence_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = Probe.model_validate({"tcp": port, "expect": "R", "orClosed": True})
        assert ask(silent, _never, timeout=0.1) == f"port {port} does not answer within 0.1 s"
    assert ask(silent, _never) is None


def test_tcp_without_expectation_is_ready_when_it_accepts() -> None:
    with _answering() as port:
        assert ask(Probe(tcp=port), _never) is None


def test_tcp_collects_an_answer_that_comes_in_pieces() -> None:
    with _answering(b"+PO", b"NG\r\n") as port:
        assert ask(Probe(tcp=port, send="PING\r\n", expect="PONG"), _never) is None


def test_tcp_with_another_answer_gives_up_at_its_timeout() -> None:
    with _answering(b"-LOADING\r\n") as port:
        error = ask(Probe(tcp=port, send="PING\r\n", expect="PONG"), _never, timeout=0.2)
    assert error == f"port {port} does not answer within 0.2 s"


@pytest.mark.parametrize(("status", "good"), [(0, True), (1, False)])
def test_a_command_is_ready_when_it_exits_with_zero(status: int, good: bool) -> None:
    error = ask(Probe(exec=["pg_isready"]), lambda _command, _timeout: status)
    assert (error is None) == good
