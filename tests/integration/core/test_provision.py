"""Decides that a database and its owner are made with as few rights as a managed server gives its
administrator. What Amazon lets a role with `rds_replication` do is decided nowhere but there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import errors, sql

from app.db.provision import from_env, provision
from app.errors import SettingsError, Unavailable
from app.migrations import migrate
from tests.servers import PostgresServer

pytestmark = pytest.mark.integration

ADMIN = "managed_admin"
OWNER = DATABASE = "provisioned"


def connect(server: PostgresServer, database: str, user: str, password: str) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=server.port, dbname=database, user=user, password=password
    )


@pytest.fixture
def superuser(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """A superuser's session; what was provisioned in it is gone afterwards."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        yield connection
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE))
        )
        for role in (OWNER, ADMIN, "rds_superuser", "rds_replication"):
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.fixture
def managed(postgres: PostgresServer, superuser: psycopg.Connection) -> str:
    """The URL of an administrator with the rights that Amazon RDS gives."""
    superuser.execute("CREATE ROLE rds_replication")
    superuser.execute("CREATE ROLE rds_superuser")
    superuser.execute("GRANT rds_replication TO rds_superuser WITH ADMIN OPTION")
    superuser.execute(
        "CREATE ROLE managed_admin LOGIN CREATEROLE CREATEDB NOSUPERUSER PASSWORD 'admin'"
    )
    superuser.execute("GRANT rds_superuser TO managed_admin")
    return f"postgresql://{ADMIN}:admin@127.0.0.1:{postgres.port}/postgres"


def test_an_administrator_who_is_no_superuser_makes_the_database_and_its_owner(
    postgres: PostgresServer, managed: str
) -> None:
    provision(managed, DATABASE, OWNER, "first")
    with connect(postgres, DATABASE, OWNER, "first") as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication,"
            " pg_has_role(current_user, 'rds_replication', 'member'),"
            " (SELECT datdba::regrole::text || ' ' || datcollate FROM pg_database"
            "  WHERE datname = current_database())"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (False, False, False, False, True, f"{OWNER} C")


def test_the_owner_can_migrate_what_was_provisioned(postgres: PostgresServer, managed: str) -> None:
    provision(managed, DATABASE, OWNER, "first")
    migrate(f"postgresql://{OWNER}:first@127.0.0.1:{postgres.port}/{DATABASE}")


def test_provisioning_again_changes_the_password_and_nothing_else(
    postgres: PostgresServer, managed: str
) -> None:
    provision(managed, DATABASE, OWNER, "first")
    with connect(postgres, DATABASE, OWNER, "first") as connection:
        connection.execute("CREATE TABLE kept ()")
    provision(managed, DATABASE, OWNER, "second")
    with connect(postgres, DATABASE, OWNER, "second") as connection:
        connection.execute("SELECT FROM kept")
    with pytest.raises(psycopg.OperationalError):
        connect(postgres, DATABASE, OWNER, "first")


def test_others_cannot_connect_to_the_database(
    postgres: PostgresServer, superuser: psycopg.Connection, managed: str
) -> None:
    provision(managed, DATABASE, OWNER, "first")
    superuser.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(postgres, DATABASE, "stranger", "stranger")
    finally:
        superuser.execute("DROP ROLE stranger")


def test_a_superuser_gives_replication_and_takes_superuser_away(
    postgres: PostgresServer, superuser: psycopg.Connection
) -> None:
    superuser.execute(sql.SQL("CREATE ROLE {} SUPERUSER").format(sql.Identifier(OWNER)))
    provision(postgres.url(), DATABASE, OWNER, "first")
    with connect(postgres, DATABASE, OWNER, "first") as connection:
        row = connection.execute(
            "SELECT rolsuper, rolreplication FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (False, True)


def test_who_may_create_no_roles_is_refused(superuser: psycopg.Connection, managed: str) -> None:
    superuser.execute(sql.SQL("ALTER ROLE {} NOCREATEROLE").format(sql.Identifier(ADMIN)))
    with pytest.raises(errors.InsufficientPrivilege):
        provision(managed, DATABASE, OWNER, "first")


def test_a_password_of_any_characters_can_be_used(postgres: PostgresServer, managed: str) -> None:
    password = "a'b\\c %s {} é"
    provision(managed, DATABASE, OWNER, password)
    url = f"postgresql://{OWNER}:{quote(password)}@127.0.0.1:{postgres.port}/{DATABASE}"
    with psycopg.connect(url) as connection:
        connection.execute("SELECT")


def test_the_image_provisions_by_its_environment(postgres: PostgresServer, managed: str) -> None:
    environment = {
        "ADMIN_URL": managed,
        "DATABASE": DATABASE,
        "OWNER": OWNER,
        "OWNER_PASSWORD": "first",
    }
    done = subprocess.run(
        [sys.executable, "-m", "app", "provision"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with connect(postgres, DATABASE, OWNER, "first") as connection:
        connection.execute("SELECT")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError, match="OWNER_PASSWORD is missing"):
        from_env({"ADMIN_URL": "postgresql://x", "DATABASE": "d", "OWNER": "o"})


def test_a_server_that_does_not_answer_is_said_without_its_password() -> None:
    environment = {"DATABASE": "d", "OWNER": "o", "OWNER_PASSWORD": "s3ntinel"}
    with pytest.raises(Unavailable) as raised:
        from_env({"ADMIN_URL": "postgresql://u:s3ntinel@127.0.0.1:1/d", **environment})
    assert "s3ntinel" not in str(raised.value)
