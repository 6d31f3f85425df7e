"""How servers are addressed. A server is written host:port."""

from collections.abc import Sequence
from urllib.parse import urlencode

# A server that hangs costs a client that tries them one by one this much, libpq's least.
CONNECT_SECONDS = 2


def here(ports: Sequence[int]) -> list[str]:
    """Servers of this machine."""
    return [f"127.0.0.1:{port}" for port in ports]


def url(user: str, password: str, servers: Sequence[str], database: str, **options: object) -> str:
    """A URL of libpq; with several servers a client tries them until one will do.

    The password is URL-safe text. Options are those of libpq.
    """
    query = f"?{urlencode(options, safe='/')}" if options else ""
    return f"postgresql://{user}:{password}@{','.join(servers)}/{database}{query}"


def writer(
    user: str, password: str, servers: Sequence[str], database: str, **options: object
) -> str:
    """Leads to the primary, whichever server that is at the moment."""
    choice = {"target_session_attrs": "read-write"}
    return _one_of(user, password, servers, database, choice, options)


def reader(
    user: str, password: str, servers: Sequence[str], database: str, **options: object
) -> str:
    """Leads to one of the replicas, to the primary while there is none."""
    choice = {"target_session_attrs": "prefer-standby", "load_balance_hosts": "random"}
    return _one_of(user, password, servers, database, choice, options)


def _one_of(
    user: str,
    password: str,
    servers: Sequence[str],
    database: str,
    choice: dict[str, str],
    options: dict[str, object],
) -> str:
    """With a single server there is no choice."""
    if len(servers) == 1:
        return url(user, password, servers, database, **options)
    return url(
        user, password, servers, database, **choice, connect_timeout=CONNECT_SECONDS, **options
    )


def each(
    user: str, password: str, servers: Sequence[str], database: str, **options: object
) -> list[str]:
    """The servers one by one; none when there is only one."""
    if len(servers) == 1:
        return []
    return [
        url(user, password, [server], database, connect_timeout=CONNECT_SECONDS, **options)
        for server in servers
    ]
