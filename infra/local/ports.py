"""Who holds a TCP port."""

import socket
from collections.abc import Iterable

import psutil

from infra.local.errors import LocalError


def refuse_held(ports: Iterable[int], hint: str | None) -> None:
    """Raises `LocalError`, naming the holder where it is visible, when a port is not free."""
    for port in ports:
        if not _free(port):
            fix = hint or "Stop it, or choose another port."
            raise LocalError(f"port {port} is in use by {_holder(port)}. {fix}")


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger after an earlier one must not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                name = psutil.Process(connection.pid).name()
                return f"{name} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another process"
