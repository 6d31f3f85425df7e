"""Alembic's entry: runs the revisions on one connection, in one transaction."""

import psycopg
import structlog
from alembic import context
from sqlalchemy import create_engine, pool, text

# Any constant will do, as long as nobody else uses it on this database.
LOCK = 0x45_74_63_65_74_65_72_61

log = structlog.get_logger(__name__)
url = context.config.attributes["database_url"]
# libpq reads the URL, which may name several servers; SQLAlchemy knows of one.
engine = create_engine(
    "postgresql+psycopg://",
    creator=lambda: psycopg.connect(url, connect_timeout=5),
    poolclass=pool.NullPool,
)

with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=False)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        # A release that is rolled back finds what the one after it has made of the database.
        # Migrations leave what the release before them needs, so it can work with that.
        known = {revision.revision for revision in context.script.walk_revisions()}
        unknown = set(context.get_context().get_current_heads()) - known
        if unknown and context.config.attributes["upgrade"]:
            log.warning("the database is ahead of this release", revisions=sorted(unknown))
        else:
            context.run_migrations()
engine.dispose()
