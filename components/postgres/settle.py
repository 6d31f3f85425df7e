"""Brings a cluster to its settings, and waits until every replica really follows the primary.

Run again, it changes nothing that is as it should be. Configured by environment, since it is given
passwords: MEMBERS (JSON, name → [port, port of its Patroni]), ADMIN_PASSWORD, API_PASSWORD,
SETTINGS (JSON), SECONDS.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg

_PAUSE_SECONDS = 0.2
_RESTART_SECONDS = 60


@dataclass(frozen=True)
class Member:
    """The ports of a server and of its Patroni."""

    port: int
    api_port: int

    def api(self, path: str) -> str:
        return f"http://127.0.0.1:{self.api_port}/{path}"


@dataclass(frozen=True)
class Follower:
    """A replica as its primary sees it."""

    state: str
    sync_state: str


class Cluster:
    """Members are keyed by name."""

    def __init__(
        self,
        members: Mapping[str, Member],
        admin_password: str,
        api_password: str,
        settings: Mapping[str, Any],
    ) -> None:
        self._members = members
        self._admin_password = admin_password
        self._settings = settings
        self._client = httpx.Client(
            auth=("patroni", api_password), timeout=_RESTART_SECONDS, trust_env=False
        )

    def settle(self, seconds: float) -> None:
        """Raises TimeoutError, with what is still missing, after so many seconds."""
        deadline = time.monotonic() + seconds
        while missing := self._attempt():
            if time.monotonic() > deadline:
                raise TimeoutError(missing)
            time.sleep(_PAUSE_SECONDS)

    def _attempt(self) -> str | None:
        try:
            return self._missing()
        except (httpx.HTTPError, psycopg.Error) as error:
            return str(error)

    def _missing(self) -> str | None:
        """Does what can be done at once; None when nothing is left."""
        roles = self._roles()
        primary = next((name for name, role in roles.items() if role == "leader"), None)
        if primary is None:
            return "no member is the primary"
        self._configure(primary)
        followers = self._followers(primary)
        # Asked for by name: the sender of a base backup streams as well.
        for name in self._members.keys() - {primary}:
            if name not in followers or followers[name].state != "streaming":
                return f"{name} does not follow {primary} yet"
        # Replicas first: they have to foresee as many connections as the primary has. When those
        # become fewer, replicas keep what they have until the primary has restarted, and then
        # restart again.
        different = {name: differs for name in self._members if (differs := self._different(name))}
        for name in sorted(different, key=lambda name: name == primary):
            self._restart(name)
        for name, found in different.items():
            return f"{name} does not run with the new {', '.join(found)} yet"
        wanted = {"sync", "quorum"} if self._settings["synchronous_mode"] else {"async"}
        for name in self._members.keys() - {primary}:
            if (state := followers[name].sync_state) not in wanted:
                return f"{name} replicates {state} and not yet {' or '.join(sorted(wanted))}"
        return None

    def _roles(self) -> dict[str, str]:
        error: httpx.HTTPError | None = None
        for member in self._members.values():
            try:
                answer = self._client.get(member.api("cluster")).raise_for_status()
            except httpx.HTTPError as problem:
                error = problem
                continue
            return {found["name"]: found["role"] for found in answer.json()["members"]}
        raise error or httpx.HTTPError("there are no members")

    def _configure(self, name: str) -> None:
        url = self._members[name].api("config")
        if self._client.get(url).raise_for_status().json() != self._settings:
            self._client.put(url, json=self._settings).raise_for_status()
            time.sleep(self._settings["loop_wait"] + 1)  # by then all members have seen it

    def _connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._members[name].port,
            user="postgres",
            password=self._admin_password,
            dbname="postgres",
            connect_timeout=5,
        )

    def _followers(self, primary: str) -> dict[str, Follower]:
        with self._connect(primary) as connection:
            rows = connection.execute(
                "SELECT application_name, state, sync_state FROM pg_stat_replication"
            )
            return {name: Follower(state, sync_state) for name, state, sync_state in rows}

    def _different(self, name: str) -> list[str]:
        """Parameters with which the member does not run as it should."""
        wanted = {
            parameter.lower(): str(value)
            for parameter, value in self._settings["postgresql"]["parameters"].items()
        }
        with self._connect(name) as connection:
            rows = connection.execute(
                "SELECT lower(name), setting FROM pg_settings WHERE lower(name) = ANY(%s)",
                [list(wanted)],
            )
            return [parameter for parameter, value in rows if wanted[parameter] != value]

    def _restart(self, name: str) -> None:
        """Restarts the member's server, unless its Patroni sees no need yet."""
        self._client.post(self._members[name].api("restart"), json={"restart_pending": True})


def main() -> None:
    cluster = Cluster(
        {name: Member(*ports) for name, ports in json.loads(os.environ["MEMBERS"]).items()},
        os.environ["ADMIN_PASSWORD"],
        os.environ["API_PASSWORD"],
        json.loads(os.environ["SETTINGS"]),
    )
    seconds = float(os.environ["SECONDS"])
    try:
        cluster.settle(seconds)
    except TimeoutError as error:
        sys.exit(f"the cluster is not as it should be after {seconds:g} s: {error}")


if __name__ == "__main__":
    main()
