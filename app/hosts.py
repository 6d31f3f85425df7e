"""The servers that a connection URL of libpq names, of which there may be several."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.conninfo import conninfo_to_dict, make_conninfo

DEFAULT_PORT = "5432"


def split(url: str) -> dict[str, str]:
    """Each server of the URL by its name, host:port, with how to connect to it alone."""
    parts = conninfo_to_dict(url)
    servers = {}
    for name in names(url):
        host, port = name.rsplit(":", 1)
        alone = {**parts, "host": host, "port": port}
        alone.pop("target_session_attrs", None)
        servers[name] = make_conninfo("", **alone)
    return servers


def names(url: str) -> list[str]:
    """The servers of a URL as host:port. Raises ValueError for what libpq could not connect to."""
    parts = conninfo_to_dict(url)
    hosts = str(parts.get("host", "")).split(",")
    ports = str(parts.get("port", DEFAULT_PORT)).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise ValueError("does not have a port for each host")
    return [
        f"{host}:{_port(port or DEFAULT_PORT)}" for host, port in zip(hosts, ports, strict=True)
    ]


def only(url: str, wanted: Sequence[str]) -> str:
    """The URL with these of its servers, in this order."""
    places = [name.rsplit(":", 1) for name in wanted]
    return make_conninfo(
        url,
        host=",".join(host for host, _ in places),
        port=",".join(port for _, port in places),
    )


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else 0
    if not 1 <= port <= 65535:
        raise ValueError("has a port that is no number from 1 to 65535")
    return port
