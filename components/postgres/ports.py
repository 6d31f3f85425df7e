"""What every PostgreSQL backend takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

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
    `metrics` are addresses of Prometheus metrics by name, `instances` what CloudWatch calls the
    servers (on RDS); neither is secret. `provision` is the
    environment of `python -m app provision`, which makes the database and its owner; empty where
    that is done already.
    """

    url: pulumi.Output[str]
    reader_url: pulumi.Output[str]
    replica_urls: pulumi.Output[list[str]]
    metrics: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    instances: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    provision: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)

    @classmethod
    def elsewhere(cls, url: pulumi.Input[str]) -> Self:
        """Of a database that no stack deploys."""
        return cls(
            url=pulumi.Output.secret(url),
            reader_url=pulumi.Output.secret(url),
            replica_urls=pulumi.Output.secret([]),
        )

    @property
    def admin_url(self) -> pulumi.Output[str] | None:
        """Of who may create databases and roles, while there is something to provision."""
        return self.provision.get("ADMIN_URL")


@dataclass(frozen=True)
class Servers:
    """Servers of this machine. They accept connections once `processes` are ready, and can be used
    as they are meant to once `settled` have ended."""

    ports: Sequence[int]
    processes: Sequence[pulumi.Resource]
    settled: Sequence[pulumi.Resource] = ()
    metrics: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
