"""Decides that PostgreSQL with replicas keeps what it acknowledged and serves again by itself, with
a real cluster whose parts are killed and hung.

The tests share one cluster and leave it whole. Longer trials under traffic are tests/faults.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pulumi
import pytest

from components.postgres import Postgres, PostgresArgs
from components.target import Binaries, LocalTarget
from infra.engine import deploy, program
from infra.phases import PHASES
from tests.integration.local.conftest import Stack, eventually
from tests.servers import free_base

pytestmark = pytest.mark.integration

SIZE = replace(PHASES[2].postgres, max_connections=40, shared_buffers_mb=16)
MEMBERS = ["postgres-1", "postgres-2", "postgres-3"]
BACK_SECONDS = 120
"""Generous: a rejoining server may have to be rewound or copied on a busy machine."""


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    """The rows, asked for again while no server is there that may be asked."""
    rows: list[tuple[Any, ...]] = []

    def answered() -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
            rows[:] = connection.execute(statement).fetchall()
            return True
        return False

    eventually(answered, BACK_SECONDS)
    return rows


class Database:
    """A cluster that was brought up, with what `up` gave."""

    def __init__(self, root: Path, port_base: int) -> None:
        self.stack = Stack(root)
        self.target = LocalTarget(root, port_base, Binaries())
        self.outputs: dict[str, Any] = {}

    def up(self, **changes: Any) -> list[str]:
        """Deploys and returns what that changed."""
        done: list[deploy.Done] = []
        monitor = deploy.UpMonitor(lambda _: None, done.append)

        def declare() -> None:
            args = PostgresArgs("etcetera", **{"size": SIZE, **changes})
            component = Postgres("postgres", args, self.target)
            for field in fields(component.outputs):
                pulumi.export(field.name, getattr(component.outputs, field.name))

        program.run(monitor, "test", {}, preview=False, program=declare)
        self.outputs = monitor.outputs.values
        return [f"{d.step.verb} {d.step.name}" for d in done if d.step.verb != "same"]

    def secret(self, name: str) -> str:
        record = self.stack.store.get(name)
        assert record is not None
        assert record.value is not None
        return record.value

    def followers(self) -> dict[str, str]:
        """The replicas that stream, by name, with how they confirm commits."""
        url = self.outputs["url"].replace(
            f"etcetera:{self.secret('postgres-password')}",
            f"postgres:{self.secret('postgres-admin-password')}",
        )
        return dict(
            ask(
                url,
                "SELECT application_name, sync_state FROM pg_stat_replication"
                " WHERE state = 'streaming'",
            )
        )

    def primary(self) -> str:
        """The name of the server to write to, once there is one."""
        ((port,),) = ask(self.outputs["url"], "SELECT inet_server_port()")
        return f"postgres-{port - self.target.port('postgres-1') + 1}"

    def whole(self) -> bool:
        """Every server is there, and each replica confirms commits."""
        followers = self.followers()
        return {*followers, self.primary()} == {*MEMBERS} and {*followers.values()} == {"quorum"}

    def has_replaced(self, name: str, restarts: int) -> None:
        """Returns when the part was started more often than so many times."""
        eventually(lambda: self.stack.read(name)["restarts"] > restarts, BACK_SECONDS)

    def signal_server(self, name: str, number: signal.Signals) -> None:
        """Signals the server itself, past its Patroni."""
        text = (self.stack.store.folder(name) / "data/postmaster.pid").read_text()
        os.kill(int(text.split()[0]), number)


class Writer:
    """Writes row after row as the app does, over the writer's address, and notes each that was
    acknowledged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: list[int] = []
        self._broken = 0

    def __enter__(self) -> "Writer":
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS ledger")
            connection.execute("CREATE TABLE ledger (id bigint PRIMARY KEY)")
        self._thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(BACK_SECONDS)

    def lost(self) -> set[int]:
        return set(self.acknowledged) - {row[0] for row in ask(self._url, "SELECT id FROM ledger")}

    def notices_a_loss(self) -> None:
        """Returns when the server that was written to is gone: until then it may still answer."""
        eventually(lambda: self._broken, BACK_SECONDS)

    def goes_on(self) -> None:
        """Returns when another write was acknowledged."""
        before = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) > before, BACK_SECONDS)

    def _run(self) -> None:
        number = 0
        while not self._ended.is_set():
            with (
                suppress(psycopg.OperationalError),
                psycopg.connect(self._url, autocommit=True) as connection,
            ):
                try:
                    while not self._ended.is_set():
                        number += 1
                        connection.execute("INSERT INTO ledger VALUES (%s)", [number])
                        self.acknowledged.append(number)
                        time.sleep(0.002)
                except psycopg.Error:
                    self._broken += 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("patroni") / "stack", free_base())
    with pytest.MonkeyPatch.context() as patch:
        # A machine that tests keep busy may be slower than one that only serves.
        patch.setattr("components.postgres.cluster.FAILURES", 8)
        try:
            database.up()
            yield database
        finally:
            database.stack.destroy()
    assert not database.stack.root.exists()
    assert database.stack.processes() == []


@pytest.fixture
def database(cluster: Database) -> Iterator[Database]:
    yield cluster
    eventually(cluster.whole, BACK_SECONDS)


def test_it_is_up_when_every_replica_confirms_commits(database: Database) -> None:
    assert database.whole()


def test_the_writer_is_the_primary_and_the_reader_a_replica(database: Database) -> None:
    in_recovery = "SELECT pg_is_in_recovery()"
    assert ask(database.outputs["url"], in_recovery) == [(False,)]
    assert ask(database.outputs["reader_url"], in_recovery) == [(True,)]
    assert len(database.outputs["replica_urls"]) == len(MEMBERS)


def test_a_killed_server_loses_nothing_and_all_are_back(database: Database) -> None:
    lost = database.primary()
    with Writer(database.outputs["url"]) as writer:
        database.signal_server(lost, signal.SIGKILL)
        writer.notices_a_loss()
        writer.goes_on()
    assert writer.lost() == set()
    eventually(database.whole, BACK_SECONDS)


def test_a_killed_patroni_takes_its_server_along_and_writes_go_on(database: Database) -> None:
    lost = database.primary()
    before = database.stack.read(lost)
    with Writer(database.outputs["url"]) as writer:
        os.kill(before["pid"], signal.SIGKILL)
        writer.notices_a_loss()
        database.has_replaced(lost, before["restarts"])
        writer.goes_on()
    assert writer.lost() == set()


def test_a_hung_server_is_replaced(database: Database) -> None:
    hung = database.primary()
    restarts = database.stack.read(hung)["restarts"]
    with Writer(database.outputs["url"]) as writer:
        database.signal_server(hung, signal.SIGSTOP)
        # Its sessions live on, so writes may go on where they were until it is killed.
        writer.notices_a_loss()
        database.has_replaced(hung, restarts)
        writer.goes_on()
    assert writer.lost() == set()


def test_writes_go_on_without_etcd_which_comes_back(database: Database) -> None:
    primary, etcd = database.primary(), database.stack.read("etcd")
    with Writer(database.outputs["url"]) as writer:
        os.kill(etcd["pid"], signal.SIGSTOP)
        database.has_replaced("etcd", etcd["restarts"])
        eventually(lambda: database.stack.read("etcd")["state"] == "ready", BACK_SECONDS)
        writer.goes_on()
    assert writer.lost() == set()
    assert database.primary() == primary


def test_another_up_changes_nothing_whoever_is_the_primary(database: Database) -> None:
    assert database.up() == []


def test_members_outlive_their_supervisor_and_the_next_up_adopts_them(database: Database) -> None:
    before = {name: database.stack.read(name) for name in [*MEMBERS, "etcd"]}
    database.stack.kill_supervisor()
    assert "update etcd" in database.up()
    assert {name: database.stack.read(name) for name in before} == before


def test_settings_change_while_it_runs(database: Database) -> None:
    before = {name: database.stack.read(name)["pid"] for name in MEMBERS}
    more = replace(SIZE, max_connections=SIZE.max_connections + 10)
    database.up(size=more, synchronous=False)
    assert _max_connections(database) == {more.max_connections}
    assert {*database.followers().values()} == {"async"}
    database.up()
    assert _max_connections(database) == {SIZE.max_connections}
    assert database.whole()
    assert {name: database.stack.read(name)["pid"] for name in MEMBERS} == before


def test_passwords_are_in_private_files_alone(database: Database) -> None:
    secrets = [record.value for record in database.stack.store.records() if record.value]
    assert len(secrets) == 6
    for pid in database.stack.processes():
        with suppress(psutil.Error):
            command = " ".join(psutil.Process(pid).cmdline())
            assert not [secret for secret in secrets if secret in command]
    for path in database.stack.store.folder("postgres-1").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    logs = (database.stack.root / "logs").glob("*")
    assert not [log for log in logs if any(secret in log.read_text() for secret in secrets)]


def test_nobody_without_a_password_can_change_how_it_runs(database: Database) -> None:
    etcd = f"http://127.0.0.1:{database.target.port('etcd')}/v3/kv/put"
    assert not httpx.post(etcd, json={"key": "L2E=", "value": "Yg=="}).is_success
    patroni = f"http://127.0.0.1:{database.target.port('patroni-1')}"
    assert httpx.patch(f"{patroni}/config", json={"ttl": 30}).status_code == 401
    assert httpx.get(f"{patroni}/health").is_success


def _max_connections(database: Database) -> set[int]:
    found = [ask(url, "SHOW max_connections") for url in database.outputs["replica_urls"]]
    return {int(rows[0][0]) for rows in found}
