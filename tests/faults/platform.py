"""The stack that the faults happen to: its parts, and whether it is whole."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import psutil
import psycopg
import redis
from psycopg.rows import dict_row

from components.target import PORTS
from infra.local import operations
from infra.phases import PHASES
from tests import stacks
from tests.bluesky import LocalBluesky
from tests.faults.proxy import Proxy
from tests.load.site import Site
from tests.servers import postgres_server

WHOLE_SECONDS = 180.0
_LOOK_SECONDS = 0.5
_ASK_SECONDS = 3
_SYNCHRONOUS = ("sync_standby", "quorum_standby")


@dataclass
class Platform:
    """A stack that is up. Its parts have the names of the stack's processes."""

    phase: int
    root: Path
    port_base: int
    network: LocalBluesky
    proxy: Proxy
    config: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """The stack as people see it; they post past the proxy."""
        endpoints = {**self.outputs["endpoints"], "bluesky_url": self.network.url}
        return Site("faults", self.root, {**self.outputs, "endpoints": endpoints})

    def configure(self, **config: str) -> None:
        """Deploys with this configuration, unless that is how the stack runs already."""
        if not self.outputs or config != self.config:
            self.config = config
            self.deploy()

    def deploy(self) -> None:
        """As an operator does, also to mend what cannot mend itself."""
        self.outputs, _ = stacks.up(
            self.root,
            self.port_base,
            phase=str(self.phase),
            blueskyUrl=self.proxy.url,
            blueskyHandle=self.network.bot_handle,
            blueskyPassword=self.network.bot_password,
            blueskyLimits="off",
            **self.config,
        )

    # Parts

    def parts(self, prefix: str) -> list[str]:
        """The processes that run and are called so, or `<prefix>-<number>`."""
        return sorted(
            name
            for name, pid in stacks.pids(self.root).items()
            if pid and (name == prefix or name.rstrip("0123456789") == f"{prefix}-")
        )

    def primary(self) -> str:
        """The PostgreSQL server that takes writes. LookupError while there is none."""
        for name, url in self._members().items():
            with suppress(psycopg.OperationalError), _ask(url) as conn:
                row = conn.execute("SELECT pg_is_in_recovery() AS standby").fetchone()
                if row and not row["standby"]:
                    return name
        raise LookupError("no PostgreSQL server takes writes")

    def replica(self) -> str:
        """A PostgreSQL server that follows, and confirms commits where any does."""
        replicas = [one for one in self._cluster() if one["role"] != "leader"]
        return str(max(replicas, key=lambda one: one["role"] in _SYNCHRONOUS)["name"])

    def shard(self) -> str:
        """A Redis server that takes writes."""
        for name in self.parts("redis"):
            with suppress(redis.RedisError), self._redis(name) as client:
                if client.info("replication")["role"] == "master":
                    return name
        raise LookupError("no Redis server takes writes")

    # Faults

    def processes(self, *names: str) -> list[psutil.Process]:
        """The processes of parts with all that they have started."""
        found = []
        pids = stacks.pids(self.root)
        for name in names:
            with suppress(psutil.NoSuchProcess):
                found += _family(pids[name])
        return found

    def server(self, name: str) -> list[psutil.Process]:
        """A PostgreSQL server without the agent that watches over it."""
        file = self.root / "run" / name / "data" / "postmaster.pid"
        return _family(int(file.read_text().split()[0]))

    def supervisor(self) -> list[psutil.Process]:
        """What watches over the processes."""
        pid = (self.root / "supervisor.lock").read_text().split()[0]
        return [psutil.Process(int(pid))]

    # Wholeness

    def wait_until_whole(self, seconds: float = WHOLE_SECONDS) -> None:
        """AssertionError with what is missing when it takes longer."""
        began = time.monotonic()
        while missing := self.missing():
            assert time.monotonic() - began < seconds, f"not whole after {seconds:.0f} s: {missing}"
            time.sleep(_LOOK_SECONDS)

    def missing(self) -> list[str]:
        """What the stack lacks of its full redundancy."""
        found = [
            f"{entry.name} is {state}"
            for entry in operations.entries(self.root)
            if entry.type == "local:index:Process"
            for state in [(operations.read(entry.type, entry.name, self.root) or {}).get("state")]
            if state not in ("ready", "parked")
        ]
        return found or [*self._postgres_missing(), *self._redis_missing(), *self._site_missing()]

    def _postgres_missing(self) -> Iterator[str]:
        wanted = PHASES[self.phase].postgres.replicas
        if not wanted:
            return
        try:
            members = self._cluster()
            self.primary()
        except (httpx.HTTPError, LookupError) as error:
            yield str(error)
            return
        streaming = [one for one in members if one["state"] == "streaming"]
        if len(streaming) < wanted:
            yield f"PostgreSQL has {[(one['name'], one['state']) for one in members]}"
        confirming = [one for one in streaming if one["role"] in _SYNCHRONOUS]
        if self.config.get("synchronousCommit") != "false" and len(confirming) < wanted:
            yield "not every replica confirms commits"

    def _redis_missing(self) -> Iterator[str]:
        size = PHASES[self.phase].redis
        if size is None or size.shards == 1:
            return
        roles = []
        for name in self.parts("redis"):
            try:
                with self._redis(name) as client:
                    state = client.execute_command("CLUSTER", "INFO")
                    info = client.info("replication")
            except redis.RedisError as error:
                yield f"{name}: {error}"
                return
            text = state if isinstance(state, str) else str(state)
            if "cluster_state" in text and "ok" not in text.split("cluster_state", 1)[1][:8]:
                yield f"{name} says that its cluster is not ok"
            if info["role"] != "master" and info["master_link_status"] != "up":
                yield f"{name} does not follow"
            roles.append(info["role"])
        if roles.count("master") != size.shards or len(roles) != size.shards * (1 + size.replicas):
            yield f"Redis has {roles}"

    def _site_missing(self) -> Iterator[str]:
        try:
            answer = httpx.get(f"{self.outputs['web_url']}/readyz", timeout=_ASK_SECONDS)
        except httpx.HTTPError as error:
            yield f"the site: {error!r}"
            return
        # The edge may keep this from strangers; then a page says as much.
        if answer.status_code >= 500:
            yield f"the site answers {answer.status_code}"

    def _cluster(self) -> list[dict[str, Any]]:
        """The members as Patroni sees them: name, role, state. HTTPError when no agent answers."""
        for number in (1, 2, 3):
            with suppress(httpx.HTTPError):
                port = self.port_base + PORTS[f"patroni-{number}"]
                answer = httpx.get(f"http://127.0.0.1:{port}/cluster", timeout=_ASK_SECONDS)
                return list(answer.json()["members"])
        raise httpx.ConnectError("no Patroni answers")

    def _members(self) -> dict[str, str]:
        """URLs of the PostgreSQL servers by the names of their processes."""
        names = {self.port_base + PORTS[f"postgres-{n}"]: f"postgres-{n}" for n in (1, 2, 3)}
        urls = self.outputs.get("replica_urls") or []
        if not urls:
            return {"postgres": self.outputs["database_url"]}
        return {names[urlsplit(url).port or 0]: url for url in urls}

    def _redis(self, name: str) -> redis.Redis:
        password = urlsplit(self.outputs["redis_url"].split(",")[0]).password
        return redis.Redis(
            port=self.port_base + PORTS[name],
            password=unquote(password or ""),
            socket_timeout=_ASK_SECONDS,
            decode_responses=True,
        )


@contextmanager
def running(phase: int, root: Path, port_base: int) -> Iterator[Platform]:
    """A platform with its surroundings: a Bluesky network that no fault of the stack touches."""
    with ExitStack() as around:
        outside = around.enter_context(postgres_server())
        network = around.enter_context(LocalBluesky(outside.url(), rate_limits=False))
        proxy = around.enter_context(Proxy(port_base + 99, network.ports[1]))
        platform = Platform(phase, root, port_base, network, proxy)
        around.callback(stacks.destroy, root)
        platform.configure()
        yield platform


def _family(pid: int) -> list[psutil.Process]:
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def send(number: signal.Signals, processes: list[psutil.Process]) -> None:
    """All at once, as far as that goes; those that have ended meanwhile are left out."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _ask(url: str) -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(
        url, row_factory=dict_row, connect_timeout=_ASK_SECONDS, application_name="faults"
    )
