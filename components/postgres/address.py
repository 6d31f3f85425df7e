"""How servers of this machine are addressed."""

from collections.abc import Sequence
from urllib.parse import urlencode

# A server that hangs costs a client that tries them one by one this much, libpq's least.
CONNECT_SECONDS = 2


def url(user: str, password: str, ports: Sequence[int], database: str, **options: object) -> str:
    """A URL of libpq; with several ports a client tries the servers until one will do.

    The password is URL-safe text. Options are those of libpq.
    """
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    query = f"?{urlencode(options)}" if options else ""
    return f"postgresql://{user}:{password}@{hosts}/{database}{query}"


def writer(user: str, password: str, ports: Sequence[int], database: str) -> str:
    """Leads to the primary, whichever server that is at the moment."""
    return _one_of(user, password, ports, database, target_session_attrs="read-write")


def reader(user: str, password: str, ports: Sequence[int], database: str) -> str:
    """Leads to one of the replicas, to the primary while there is none."""
    return _one_of(
        user,
        password,
        ports,
        database,
        target_session_attrs="prefer-standby",
        load_balance_hosts="random",
    )


def _one_of(user: str, password: str, ports: Sequence[int], database: str, **choice: object) -> str:
    """With a single server there is no choice."""
    if len(ports) == 1:
        return url(user, password, ports, database)
    return url(user, password, ports, database, **choice, connect_timeout=CONNECT_SECONDS)


def each(user: str, password: str, ports: Sequence[int], database: str) -> list[str]:
    """The servers one by one; none when there is only one."""
    if len(ports) == 1:
        return []
    return [
        url(user, password, [port], database, connect_timeout=CONNECT_SECONDS) for port in ports
    ]
