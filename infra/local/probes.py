"""Whether a process does its work: asked by HTTP, TCP or a command."""

import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from infra.local.spec import Probe

Execute = Callable[[Sequence[str], float], int]
"""Runs a command for at most so many seconds and returns its exit status."""


def ask(probe: Probe, execute: Execute, timeout: float = 3) -> str | None:
    """None when the probe succeeds within `timeout` seconds, else why it did not."""
    if probe.http is not None:
        return _http(probe.http, timeout)
    if probe.tcp is not None:
        return _tcp(probe, probe.tcp, timeout)
    return _exec(probe.exec or [], execute, timeout)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


# Neither the proxies of the environment nor other hosts have a say in local readiness.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _http(url: str, timeout: float) -> str | None:
    try:
        with _OPENER.open(url, timeout=timeout):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code < 400 else f"{url} answers {error.code}"
    except (OSError, ValueError) as error:
        return f"{url}: {getattr(error, 'reason', error)}"


def _tcp(probe: Probe, port: int, timeout: float) -> str | None:
    deadline = time.monotonic() + timeout
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            if probe.send:
                connection.sendall(probe.send.encode())
            while probe.expect and not re.search(probe.expect, answer.decode(errors="replace")):
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                received = connection.recv(4096)
                if not received:
                    return f"port {port} does not give the expected answer"
                answer += received
    except TimeoutError:
        return f"port {port} does not answer within {timeout:g} s"
    except ConnectionRefusedError as error:
        return None if probe.or_closed else f"port {port}: {error.strerror}"
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    return None


def _exec(command: Sequence[str], execute: Execute, timeout: float) -> str | None:
    status = execute(command, timeout)
    return None if status == 0 else f"{command[0]} exits with {status}"
