"""Decides: migrations on real PostgreSQL, transactions with callbacks, read-only reads, recovery of
the pool. What the tables mean is decided by the suites of the domain."""

import sys
from subprocess import Popen

import psycopg
import pytest
from alembic.util import CommandError

from app.db import Database
from app.migrations import downgrade, migrate
from app.settings import Settings

pytestmark = pytest.mark.integration


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in rows}


def test_migrating_twice_changes_nothing(empty_database_url: str) -> None:
    migrate(empty_database_url)
    before = tables(empty_database_url)
    migrate(empty_database_url)
    assert tables(empty_database_url) == before
    assert {"users", "objects", "jobs"} <= before


def test_processes_migrating_at_once_wait_for_each_other(empty_database_url: str) -> None:
    code = "import os; from app.migrations import migrate; migrate(os.environ['URL'])"
    racers = [Popen([sys.executable, "-c", code], env={"URL": empty_database_url}) for _ in "123"]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]
    assert "users" in tables(empty_database_url)


def test_a_release_that_is_rolled_back_leaves_a_later_schema_as_it_is(
    empty_database_url: str,
) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as conn:
        conn.execute("CREATE TABLE tomorrow ()")
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    before = tables(empty_database_url)
    migrate(empty_database_url)
    assert tables(empty_database_url) == before
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    # To go back from what it does not know would lose data, so that is refused.
    with pytest.raises(CommandError, match="9999"):
        downgrade(empty_database_url, "base")


def test_a_failed_migration_leaves_nothing_behind(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as conn:
        conn.execute("CREATE TABLE write_points (obstacle int)")
    with pytest.raises(Exception, match="write_points"):
        migrate(empty_database_url)
    assert tables(empty_database_url) == {"write_points"}


def test_downgrading_to_base_drops_every_table(empty_database_url: str) -> None:
    migrate(empty_database_url)
    downgrade(empty_database_url, "base")
    assert tables(empty_database_url) == {"alembic_version"}


def test_callbacks_run_after_the_commit_in_order(database: Database) -> None:
    seen: list[str] = []
    with database.transaction() as tx:
        tx.on_commit(lambda: seen.append("first"))
        tx.on_commit(lambda: seen.append("second"))
        assert seen == []
    assert seen == ["first", "second"]


def test_a_failing_callback_does_not_undo_or_hide_the_commit(database: Database) -> None:
    seen: list[str] = []
    with database.transaction() as tx:
        tx.conn.execute("INSERT INTO cursors (source, position) VALUES ('s', '1')")
        tx.on_commit(lambda: 1 / 0)  # type: ignore[arg-type]
        tx.on_commit(lambda: seen.append("still called"))
    with database.read() as conn:
        assert conn.execute("SELECT position FROM cursors").fetchall() == [{"position": "1"}]
    assert seen == ["still called"]


def test_a_rollback_runs_no_callback(database: Database) -> None:
    seen: list[str] = []
    with pytest.raises(RuntimeError), database.transaction() as tx:  # noqa: PT012
        tx.conn.execute("INSERT INTO cursors (source, position) VALUES ('s', '1')")
        tx.on_commit(lambda: seen.append("called"))
        raise RuntimeError
    with database.read() as conn:
        assert conn.execute("SELECT * FROM cursors").fetchall() == []
    assert seen == []


def test_reading_refuses_to_write_and_the_next_transaction_may(database: Database) -> None:
    write = "INSERT INTO cursors (source, position) VALUES ('s', '1')"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), database.read() as conn:
        conn.execute(write)
    with database.transaction() as tx:
        tx.conn.execute(write)


def test_connections_that_the_server_closed_are_replaced_unnoticed(
    database: Database, settings: Settings
) -> None:
    with database.read() as conn:
        pid = conn.info.backend_pid
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with database.read() as conn:
        assert conn.execute("SELECT 1 AS one").fetchone() == {"one": 1}
