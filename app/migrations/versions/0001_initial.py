"""People, objects and what happened between them; inbox, outbox, jobs."""

from app.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql(__file__)


def downgrade() -> None:
    run_sql(__file__, ".down")
