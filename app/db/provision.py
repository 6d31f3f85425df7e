"""Makes a database and the role that owns it. Run again, it changes nothing but the password.

The administrator need not be a superuser: CREATEROLE and CREATEDB will do, as on managed servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

import psycopg
from psycopg import sql

from app.errors import SettingsError, Unavailable

CONNECT_SECONDS = 10
# Amazon RDS gives out replication as a role, and the attribute of that name to nobody.
REPLICATORS = "rds_replication"
FIXES = {
    "ADMIN_URL": "set the URL of a database server as one who may create roles and databases",
    "DATABASE": "set the database's name",
    "OWNER": "set the role that owns it",
    "OWNER_PASSWORD": "set that role's password",  # pragma: allowlist secret
}


def from_env(env: Mapping[str, str]) -> None:
    """Provisions what ADMIN_URL, DATABASE, OWNER and OWNER_PASSWORD say.

    Raises SettingsError for a missing variable and Unavailable when the server does not answer.
    """
    if missing := [name for name in FIXES if not env.get(name)]:
        raise SettingsError([f"{name} is missing; {FIXES[name]}" for name in missing])
    try:
        provision(env["ADMIN_URL"], env["DATABASE"], env["OWNER"], env["OWNER_PASSWORD"])
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL could not be provisioned: {error}") from None


def provision(admin_url: str, database: str, owner: str, password: str) -> None:
    """Ensures that `owner` exists, may log in with `password` and owns `database`.

    Raises psycopg.Error: the server does not answer, or the administrator lacks a right.
    """
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
        _owner(connection, owner, password)
        _database(connection, database, owner)


def _owner(connection: psycopg.Connection, owner: str, password: str) -> None:
    role = sql.Identifier(owner)
    superuser = _found(connection, "SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper")
    managed = _found(connection, "SELECT FROM pg_roles WHERE rolname = %s", REPLICATORS)
    attributes = [sql.SQL("LOGIN")]
    # Replication lets promotion read the changes of this database; it gives no rights to data.
    if not managed:
        attributes.append(sql.SQL("REPLICATION"))
    # Only a superuser may say so; whom others create is none.
    if superuser:
        attributes.append(sql.SQL("NOSUPERUSER"))
    exists = _found(connection, "SELECT FROM pg_roles WHERE rolname = %s", owner)
    connection.execute(
        sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            sql.SQL("ALTER" if exists else "CREATE"),
            role,
            sql.SQL(" ").join(attributes),
            sql.Literal(_verifier(connection, owner, password)),
        )
    )
    if managed:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(REPLICATORS), role))
    # From PostgreSQL 16 on, who creates a role may administer it but not act as it, which giving
    # it a database takes.
    if not superuser:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))


def _verifier(connection: psycopg.Connection, owner: str, password: str) -> str:
    """What the server keeps of a password, so that the password is in none of its logs."""
    return connection.pgconn.encrypt_password(
        password.encode(), owner.encode(), b"scram-sha-256"
    ).decode()


def _database(connection: psycopg.Connection, database: str, owner: str) -> None:
    name = sql.Identifier(database)
    if not _found(connection, "SELECT FROM pg_database WHERE datname = %s", database):
        # The same order of texts on every server, whatever its own language is.
        connection.execute(
            sql.SQL(
                "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
            ).format(name, sql.Identifier(owner))
        )
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def _found(connection: psycopg.Connection, query: LiteralString, *values: str) -> bool:
    return connection.execute(query, values).fetchone() is not None
