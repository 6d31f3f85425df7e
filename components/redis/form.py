"""Makes one cluster of running nodes, and waits until it is whole. Run again, it changes nothing.

Configured by environment, since it is given a password: NODES (`port:busport`, separated by
commas), SHARDS, PASSWORD. Repairs what was interrupted and takes in nodes that were replaced; who
is a primary is left as it is found.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.redis import layout
from components.redis.layout import Node

SECONDS = 60.0
_PAUSE = 0.1
_TIMEOUT = 2.0


class FormError(Exception):
    """The cluster is not whole in time; says what is missing."""


def form(
    ports: Sequence[tuple[int, int]], shards: int, password: str, seconds: float = SECONDS
) -> int:
    """Returns the number of commands it took. Raises FormError after `seconds`."""
    deadline = time.monotonic() + seconds
    commands = 0
    with ExitStack() as stack:
        clients: dict[int, Any] = {
            port: stack.enter_context(_client(port, password)) for port, _ in ports
        }
        while True:
            try:
                nodes = [layout.parse(*both, _table(clients[both[0]])) for both in ports]
                steps = layout.plan(nodes, shards)
                for node, command in steps:
                    clients[node.port].execute_command(*command)
                commands += len(steps)
                problem = "its layout is not complete" if steps else _problem(nodes, clients)
                if problem is None:
                    return commands
            except redis.RedisError as error:  # a node starts, or has not heard of another yet
                problem = str(error)
            if time.monotonic() > deadline:
                raise FormError(f"no cluster after {seconds:g} s: {problem}")
            time.sleep(_PAUSE)


def _problem(nodes: Sequence[Node], clients: dict[int, Any]) -> str | None:
    """Why the cluster cannot be relied on yet."""
    if not layout.settled(nodes):
        return "its nodes do not agree yet"
    for node in nodes:
        state = str(clients[node.port].execute_command("CLUSTER", "INFO"))
        if "cluster_state:ok" not in state:
            return f"the node at port {node.port} does not serve yet"
        # A replica without its primary's data would not be worth a failover.
        link = clients[node.port].info("replication").get("master_link_status", "up")
        if link != "up":
            return f"the replica at port {node.port} does not follow its primary yet"
    return None


def _client(port: int, password: str) -> redis.Redis:
    return redis.Redis(
        "127.0.0.1",
        port,
        password=password,
        socket_timeout=_TIMEOUT,
        socket_connect_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=True,
    )


def _table(client: Any) -> str:
    # In two words: redis-py would parse the answer to "CLUSTER NODES", and lose ids by address.
    return str(client.execute_command("CLUSTER", "NODES"))


def main() -> None:
    pairs = [text.split(":") for text in os.environ["NODES"].split(",")]
    ports = [(int(port), int(bus)) for port, bus in pairs]
    began = time.monotonic()
    try:
        commands = form(ports, int(os.environ["SHARDS"]), os.environ["PASSWORD"])
    except FormError as error:
        sys.exit(str(error))
    done = f"with {commands} commands" if commands else "and was"
    print(f"the cluster is whole {done}, after {time.monotonic() - began:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
