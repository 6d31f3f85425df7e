"""What every PostgreSQL backend takes and gives."""

from dataclasses import dataclass

import pulumi

from infra.phases import PostgresSize


@dataclass(frozen=True)
class PostgresArgs:
    """`external_url`: use this database and deploy none."""

    database: str
    size: PostgresSize
    external_url: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class PostgresOutputs:
    """`url` is secret and known only when the database accepts connections."""

    url: pulumi.Output[str]
    replica_urls: pulumi.Output[list[str]]
