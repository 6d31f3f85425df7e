"""What the monitor measured."""

from app.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(__file__)


def downgrade() -> None:
    run_sql(__file__, ".down")
