"""Alembic's entry: runs the revisions on one connection, in one transaction."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool, text

# Any constant will do, as long as nobody else uses it on this database.
LOCK = 0x45_74_63_65_74_65_72_61

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
        context.run_migrations()
engine.dispose()
