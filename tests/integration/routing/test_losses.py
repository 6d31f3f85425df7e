"""Decides, on a real primary with two streaming replicas: nobody waits for long on a server that
hangs, a replica that dies is not noticed by who reads, replicas serve while there is no primary,
and writes find the next one. "Nobody waits" means: they go on while the server is still away. How
fast Patroni fails over, and what that loses, is decided by the fault suite."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from pydantic import SecretStr

from app.db import Database, ServerLost, watched
from app.errors import Unavailable
from app.migrations import migrate
from tests.integration.routing.conftest import newest, note, served_by, settings_of
from tests.replication import Cluster, postgres_cluster, wait_until

pytestmark = pytest.mark.integration


class Readers:
    """Threads that read all the time, as those of a website do."""

    def __init__(self, database: Database) -> None:
        self.errors: list[BaseException] = []
        self._answers = [0] * 4
        self._database = database
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(n,)) for n in range(4)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def all_go_on(self, times: int = 20) -> None:
        """Returns when each has had so many more answers: none of them waits for what is away."""
        before = list(self._answers)
        wait_until(lambda: all(n >= b + times for n, b in zip(self._answers, before, strict=True)))

    def _read(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                self._database.query(newest)
            except psycopg.OperationalError as error:
                self.errors.append(error)
            self._answers[number] += 1
            time.sleep(0.002)


@contextmanager
def promoted(cluster: Cluster) -> Iterator[None]:
    """While the first primary hangs, the first replica becomes the primary."""
    cluster.level()
    with cluster.primary.hanging():
        cluster.replicas[0].ask("SELECT pg_promote(true, 60)")
        yield


def test_a_killed_replica_is_not_noticed(database: Database, cluster: Cluster) -> None:
    victim, other = cluster.replicas
    with Readers(database) as readers:
        readers.all_go_on()
        victim.kill()
        readers.all_go_on(50)
    assert readers.errors == []
    assert {served_by(database) for _ in range(10)} == {other.port}
    victim.start()
    wait_until(lambda: served_by(database) == victim.port)


def test_when_all_replicas_are_gone_the_primary_serves(
    database: Database, cluster: Cluster
) -> None:
    with Readers(database) as readers:
        for replica in cluster.replicas:
            replica.kill()
        readers.all_go_on(50)
    assert readers.errors == []
    assert {served_by(database) for _ in range(10)} == {cluster.primary.port}
    for replica in cluster.replicas:
        replica.start()
    wait_until(lambda: served_by(database) != cluster.primary.port)


def test_a_replica_that_hangs_holds_up_nobody_for_long(
    database: Database, cluster: Cluster
) -> None:
    victim, other = cluster.replicas
    with Readers(database) as readers:
        readers.all_go_on()
        with victim.hanging():
            readers.all_go_on()
            assert {served_by(database) for _ in range(10)} == {other.port}
    assert readers.errors == []
    wait_until(lambda: served_by(database) == victim.port)


def test_while_the_primary_hangs_writes_fail_soon_and_replicas_serve(
    database: Database, cluster: Cluster
) -> None:
    position = note(database, 1)
    cluster.level()
    with (
        Readers(database) as readers,
        closing(watched(psycopg.connect(cluster.writer_url, autocommit=True))) as own,
        cluster.primary.hanging(),
    ):
        with pytest.raises(ServerLost):
            note(database, 2)
        with pytest.raises(psycopg.OperationalError):
            own.execute("SELECT 1")
        readers.all_go_on()
        # Also to who has just written: they have it.
        assert database.query(newest, after=position) == 1
    assert readers.errors == []
    note(database, 3)


def test_a_hang_is_found_also_where_nobody_reads_from_replicas(cluster: Cluster) -> None:
    with (
        Database.open(settings_of(cluster)) as worker,
        cluster.primary.hanging(),
        pytest.raises(ServerLost),  # while it still hangs
    ):
        note(worker, 1)


def test_connections_that_come_free_late_go_to_who_waits(
    database: Database, cluster: Cluster
) -> None:
    cluster.primary.kill()
    waiting = threading.Thread(target=note, args=(database, 1))
    waiting.start()
    time.sleep(1)
    cluster.primary.start()
    waiting.join(60)
    assert not waiting.is_alive()
    assert database.query(newest, after=note(database, 2)) == 2


def test_writes_follow_a_promotion_and_never_return_to_the_old_primary() -> None:
    with postgres_cluster() as cluster:
        cluster.primary.ask("CREATE TABLE notes (number int PRIMARY KEY)")
        old, new = cluster.members[:2]
        with Database.open(settings_of(cluster)) as database:
            note(database, 1)
            with promoted(cluster):

                def written() -> bool:
                    try:
                        return note(database, 2) > 0
                    except psycopg.OperationalError:
                        return False

                wait_until(written)
            # The old primary goes on and takes itself for one, until its agent knows better.
            for number in range(3, 23):
                note(database, number)
                time.sleep(0.02)
            assert database.query(newest, after=note(database, 23)) == 23
            assert database.query(newest) == 23
        assert old.ask("SELECT max(number) FROM notes") == 1
        assert new.ask("SELECT count(*) FROM notes") == 23


def test_a_server_that_takes_no_writes_any_more_is_lost_to_writers(cluster: Cluster) -> None:
    primary = cluster.primary
    alone = settings_of(cluster).model_copy(
        update={"database_url": SecretStr(primary.url), "replica_urls": ()}
    )
    with Database.open(alone) as database:
        note(database, 1)
        primary.ask("ALTER SYSTEM SET default_transaction_read_only = on")
        primary.ask("SELECT pg_reload_conf()")
        try:
            wait_until(lambda: _read_only(database))
            connection = _backend(database)
            with pytest.raises(ServerLost, match="no writes"):
                note(database, 2)
            assert _backend(database) != connection
        finally:
            with psycopg.connect(
                primary.url, autocommit=True, options="-c default_transaction_read_only=off"
            ) as conn:
                conn.execute("ALTER SYSTEM RESET default_transaction_read_only")
                conn.execute("SELECT pg_reload_conf()")
        wait_until(lambda: primary.ask("SHOW default_transaction_read_only") == "off")
        assert note(database, 3) == 0  # a position, where there is nothing to follow


def _backend(database: Database) -> int:
    """The pool's one connection, as the server knows it."""
    with database.read() as conn:
        return conn.info.backend_pid


def _read_only(database: Database) -> bool:
    """Whether the reload has reached the one connection of the pool."""
    with database.transaction() as tx:
        row = tx.conn.execute("SHOW default_transaction_read_only").fetchone()
    return row == {"default_transaction_read_only": "on"}


def test_migrations_find_the_primary_among_several_hosts(cluster: Cluster) -> None:
    url = cluster.writer_url.replace("/postgres?", "/migrated?")
    cluster.primary.ask("CREATE DATABASE migrated")
    hosts = url.replace(f"@{cluster.primary.name},", "@")
    primary_last = hosts.replace("/migrated", f",{cluster.primary.name}/migrated")
    migrate(primary_last)
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT to_regclass('users')").fetchone() == ("users",)


def test_servers_that_are_not_there_are_named(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.database.OPEN_TIMEOUT", 0.5)
    settings = settings_of(cluster).model_copy(
        update={"database_url": SecretStr("postgresql://u:hunter2@127.0.0.1:1,127.0.0.1:2/x")}
    )
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1, 127\.0\.0\.1:2") as caught:
        Database.open(settings)
    assert "hunter2" not in str(caught.value)
