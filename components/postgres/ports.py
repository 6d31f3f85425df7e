"""What every PostgreSQL backend takes and gives."""

from dataclasses import dataclass

import pulumi

from infra.phases import PostgresSize


@dataclass(frozen=True)
class PostgresArgs:
    """`external_url`: use this database and deploy none.

    `synchronous`: a commit is acknowledged once a replica has it too, so that losing the primary
    loses nothing acknowledged. With no replica left commits go on without.
    """

    database: str
    size: PostgresSize
    external_url: pulumi.Input[str] | None = None
    synchronous: bool = True


@dataclass(frozen=True)
class PostgresOutputs:
    """All are secret and known only when the servers accept connections.

    `url` is the writer: it leads to the primary, whichever server that is. `reader_url` leads to a
    replica, or to the primary while there is none. `replica_urls` are the servers one by one, for
    clients that measure how far each is behind; any of them may be the primary at the moment.
    """

    url: pulumi.Output[str]
    reader_url: pulumi.Output[str]
    replica_urls: pulumi.Output[list[str]]
