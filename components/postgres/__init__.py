"""PostgreSQL: one database with a role of its own that owns it and is no superuser."""

from components.base import Component
from components.postgres.ports import PostgresArgs, PostgresOutputs

__all__ = ["Postgres", "PostgresArgs", "PostgresOutputs"]


class Postgres(Component[PostgresArgs, PostgresOutputs]):
    token = "etcetera:data:Postgres"  # noqa: S105
    targets = ("local", "aws")
