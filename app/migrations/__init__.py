"""The database's schema, by Alembic. Each revision runs the SQL file that lies next to it."""

from pathlib import Path
from threading import Lock

from alembic import command, op
from alembic.config import Config

HERE = Path(__file__).parent
_one_at_a_time = Lock()  # Alembic keeps its context in module globals


def migrate(database_url: str, revision: str = "head") -> None:
    """Brings the database to `revision`; safe to call from several processes at once. One that a
    later release has already brought further stays as it is.

    The upgrade is one PostgreSQL transaction under an advisory lock, so that one that is killed
    leaves nothing behind and the next call starts over.
    """
    with _one_at_a_time:
        command.upgrade(_config(database_url, upgrade=True), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Goes back to `revision` (`base` for an empty database). Data of what is dropped is lost."""
    with _one_at_a_time:
        command.downgrade(_config(database_url, upgrade=False), revision)


def run_sql(revision_file: str, suffix: str = "") -> None:
    """Runs the SQL file that belongs to a revision's module, in the revision's transaction."""
    text = Path(revision_file).with_suffix(f"{suffix}.sql").read_text(encoding="utf-8")
    # The driver's own cursor: SQLAlchemy always sends parameters, and then PostgreSQL takes one
    # statement only.
    op.get_bind().connection.cursor().execute(text)


def _config(database_url: str, *, upgrade: bool) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.attributes |= {"database_url": database_url, "upgrade": upgrade}
    return config
