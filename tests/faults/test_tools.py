"""The tools of the fault suite do what its figures rely on: the proxy misbehaves as it says, the
longest silence is found, and the ledger keeps what it was given."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.faults.ledger import Ledger
from tests.faults.proxy import Mood, Proxy
from tests.faults.traffic import Pulse
from tests.replication import wait_until
from tests.servers import free_port


class _Upstream(BaseHTTPRequestHandler):
    """Echoes bodies; upgrades to a stream that echoes, too."""

    protocol_version = "HTTP/1.1"
    served = 0

    def do_POST(self) -> None:
        type(self).served += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.end_headers()
        while data := self.connection.recv(1_000):
            self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    _Upstream.served = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Upstream) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(free_port(), server.server_port) as running:
            yield running
        server.shutdown()


def test_a_mood_holds_from_the_next_request_on_also_on_a_kept_connection(proxy: Proxy) -> None:
    with httpx.Client(base_url=proxy.url, timeout=60) as client:
        assert client.post("/", content=b"x" * 100_000).content == b"x" * 100_000
        proxy.become(Mood.LIMITED)
        limited = client.post("/")
        assert limited.status_code == 429
        assert int(limited.headers["ratelimit-reset"]) > time.time()
        proxy.become(Mood.BROKEN)
        assert client.post("/").status_code == 500
        proxy.become(Mood.FINE)
        assert client.post("/", content=b"again").content == b"again"
    assert _Upstream.served == 2


def test_a_cut_answer_is_one_whose_request_was_done(proxy: Proxy) -> None:
    proxy.become(Mood.CUT)
    with pytest.raises(httpx.TransportError):
        httpx.post(proxy.url, content=b"x", timeout=60)
    assert _Upstream.served == 1


def test_a_hung_server_has_done_what_it_never_answers(proxy: Proxy) -> None:
    proxy.become(Mood.HUNG)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(proxy.url, content=b"x", timeout=2)
    wait_until(lambda: _Upstream.served == 1)


def test_a_stream_goes_both_ways_until_it_is_cut(proxy: Proxy) -> None:
    port = httpx.URL(proxy.url).port or 0
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        assert b"101" in stream.recv(1_000)
        stream.sendall(b"and so on")
        assert stream.recv(1_000) == b"and so on"
        proxy.become(Mood.CUT)
        assert stream.recv(1_000) == b""


def test_silence_counts_from_the_last_thing_that_worked() -> None:
    pulse = Pulse()
    pulse.beats = [1.0, 2.0, 2.5, 7.0, 7.1]
    assert pulse.silence(3.0, 8.0) == 4.5
    assert pulse.silence(7.0, 8.0) == pytest.approx(0.9)
    assert pulse.silence(7.1, 20.0) == pytest.approx(12.9)


def test_the_ledger_has_what_was_noted_in_order(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger")) as ledger:
        ledger.note("claim", "did:b", "1")
        ledger.note("other", "did:b", "2")
        ledger.note("claim", "did:a", "3")
        assert list(ledger.read("claim")) == [("did:b", "1"), ("did:a", "3")]
