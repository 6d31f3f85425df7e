"""Which processes there are to watch. Some targets are one name for several.

`http+dns://worker.etcetera.svc:9100/metrics` stands for each address of the name, as a headless
service of Kubernetes gives those of its pods. They appear as `worker-10.42.0.7` and so on, and are
gone with their address.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

MANY = "http+dns"
SECONDS = 2.0

Resolve = Callable[[str], list[str]]


def addresses(host: str) -> list[str]:
    """The addresses of a name, in order; none for a name that is not there.

    Raises OSError when nobody could tell.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return []
        raise
    return sorted({str(place[0]) for *_, place in found})


class Discovery:
    """The processes behind a stack's targets; while no server of names answers, the last known."""

    def __init__(
        self, targets: Mapping[str, str], threads: Executor, resolve: Resolve = addresses
    ) -> None:
        self._single = {name: url for name, url in targets.items() if not _is_many(url)}
        self._many = {name: url for name, url in targets.items() if _is_many(url)}
        self._threads = threads
        self._resolve = resolve
        self._asked: dict[str, Future[list[str]]] = {}
        self._known: dict[str, list[str]] = {}

    def find(self) -> dict[str, str]:
        """The URL of each process by its name. Takes two seconds at most."""
        for name, url in self._many.items():
            # A question that hangs is not asked again beside itself.
            if name not in self._asked:
                host = urlsplit(url).hostname or ""
                self._asked[name] = self._threads.submit(self._resolve, host)
        for name in self._answered():
            try:
                self._known[name] = self._asked.pop(name).result()
            except OSError:
                continue
        return self._single | {
            f"{name}-{address}": _at(self._many[name], address)
            for name, found in self._known.items()
            for address in found
        }

    def _answered(self) -> list[str]:
        wait(self._asked.values(), timeout=SECONDS)
        return [name for name, future in self._asked.items() if future.done()]


def _is_many(url: str) -> bool:
    return urlsplit(url).scheme == MANY


def _at(url: str, address: str) -> str:
    parts = urlsplit(url)
    host = f"[{address}]" if isinstance(ip_address(address), IPv6Address) else address
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(scheme="http", netloc=f"{host}{port}").geturl()
