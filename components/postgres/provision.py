"""Makes a database and the role that owns it. Run again, it changes nothing but the password.

Configured by environment, since it is given passwords: ADMIN_URL, DATABASE, OWNER, OWNER_PASSWORD.
"""

import os

import psycopg
from psycopg import sql


def provision(admin_url: str, database: str, owner: str, password: str) -> None:
    """Ensures that `owner` exists, may log in with `password` and owns `database`."""
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as connection:
        role = sql.Identifier(owner)
        exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [owner]).fetchone()
        verb = sql.SQL("ALTER" if exists else "CREATE")
        # REPLICATION lets promotion read the changes of this database; it gives no rights to data.
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN REPLICATION NOSUPERUSER PASSWORD {}").format(
                verb, role, sql.Literal(password)
            )
        )
        if not connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", [database]
        ).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), role)
            )
        connection.execute(
            sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
        )


if __name__ == "__main__":
    provision(
        os.environ["ADMIN_URL"],
        os.environ["DATABASE"],
        os.environ["OWNER"],
        os.environ["OWNER_PASSWORD"],
    )
