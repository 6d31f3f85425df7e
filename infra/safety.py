"""What must hold before `scripts/pulumi destroy` may take a stack on AWS down.

Run by `scripts/pulumi`, before it hands over to the CLI. The credentials must be those of the
stack's account, each database must have a backup of the last day that outlives it, and what is
protected must have been released by hand.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from infra.config import ConfigError, StackConfig
from infra.engine.stackfile import StackFile
from infra.stack import REPOSITORY

RECENT = timedelta(days=1)
_ACCOUNT = re.compile(r"^arn:aws[\w-]*:[^:]*:[^:]*:(\d{12}):")
_DATABASE = "aws:rds/instance:Instance"
_CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"


@dataclass(frozen=True)
class Database:
    """An RDS instance that is no replica. `last_words`: deleting it makes a final snapshot."""

    name: str
    identifier: str
    last_words: bool


@dataclass(frozen=True)
class Deployed:
    """What the state of a stack says about it. `clusters` are databases run on Kubernetes."""

    accounts: frozenset[str]
    databases: tuple[Database, ...]
    clusters: tuple[str, ...]
    protected: tuple[str, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Deployed":
        """Reads what `pulumi stack export` prints."""
        resources = (document.get("deployment") or {}).get("resources") or []
        own = [(one, one.get("outputs") or {}) for one in resources if one.get("custom")]
        return cls(
            frozenset(
                found[1]
                for _, outputs in own
                if (found := _ACCOUNT.match(str(outputs.get("arn", ""))))
            ),
            tuple(
                Database(
                    _name(one), outputs["identifier"], outputs.get("skipFinalSnapshot") is False
                )
                for one, outputs in own
                if one["type"] == _DATABASE and not outputs.get("replicateSourceDb")
            ),
            tuple(_name(one) for one, _ in own if one["type"] == _CLUSTER),
            tuple(_name(one) for one, _ in own if one.get("protect")),
        )


@dataclass(frozen=True)
class Snapshot:
    """A backup of a database that can be restored. An automated one vanishes with it."""

    identifier: str
    taken: datetime
    automated: bool


def objections(
    stack: str,
    deployed: Deployed,
    *,
    account: str,
    credentials: str,
    snapshots: Sequence[Snapshot],
    now: datetime,
    without_backup: bool,
) -> Iterator[str]:
    """Why the stack must not be destroyed now, each with what to do; nothing when it may be.

    `account` is the configured one, `credentials` that of whoever asks.
    """
    for other in sorted({account, *deployed.accounts} - {credentials}):
        yield (
            f"the credentials are those of account {credentials}, the stack is in {other}: "
            "choose others with AWS_PROFILE"
        )
    for database in deployed.databases if not without_backup else ():
        if not any(_outlives(one, database, now) for one in snapshots):
            yield (
                f"{database.name} has no backup of the last day that outlives it: make one with "
                f"`aws rds create-db-snapshot --db-instance-identifier {database.identifier} "
                f"--db-snapshot-identifier {database.identifier}-{now:%Y%m%d%H%M}`, "
                "or pass --without-backup"
            )
    for cluster in deployed.clusters if not without_backup else ():
        yield (
            f"the backups of {cluster} are in a bucket of this stack and go with it: copy them "
            "elsewhere, then pass --without-backup"
        )
    if deployed.protected:
        yield (
            f"{', '.join(deployed.protected)} are protected. Release them, each for itself or all: "
            f"`pulumi state unprotect --all --stack {stack}`; databases are also guarded by "
            "deletionProtection: `aws rds modify-db-instance --no-deletion-protection "
            "--apply-immediately --db-instance-identifier …`"
        )


def _outlives(snapshot: Snapshot, database: Database, now: datetime) -> bool:
    return (
        snapshot.identifier == database.identifier
        and now - snapshot.taken <= RECENT
        # An automated one shows that backups work; the final snapshot is the one that stays.
        and (not snapshot.automated or database.last_words)
    )


def _name(resource: Mapping[str, Any]) -> str:
    return str(resource["urn"]).rsplit("::", 1)[-1]


def _snapshots(databases: Sequence[Database], region: str) -> list[Snapshot]:
    """Of all databases, those that can be restored."""
    pages = boto3.client("rds", region_name=region).get_paginator("describe_db_snapshots")
    return [
        Snapshot(database.identifier, one["SnapshotCreateTime"], one["SnapshotType"] == "automated")
        for database in databases
        for page in pages.paginate(DBInstanceIdentifier=database.identifier)
        for one in page["DBSnapshots"]
        if one["Status"] == "available"
    ]


def _exported(stack: str) -> dict[str, Any]:
    command = ["scripts/pulumi", "stack", "export", "--stack", stack]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@click.command(help=__doc__)
@click.option("-s", "--stack", envvar="PULUMI_STACK", required=True)
@click.option("--without-backup", is_flag=True, help="The data is not needed any more.")
def command(stack: str, without_backup: bool) -> None:
    screen = Console(stderr=True, highlight=False)
    try:
        values = {key: one.text for key, one in StackFile.open(stack).values().items()}
        config = StackConfig.parse(values, stack=stack)
        if config.target != "aws":
            return
        deployed = Deployed.parse(_exported(stack))
        caller = boto3.client("sts", region_name=config.region).get_caller_identity()
        found = list(
            objections(
                stack,
                deployed,
                account=config.account_id or "",
                credentials=caller["Account"],
                snapshots=_snapshots(deployed.databases, config.region),
                now=datetime.now(UTC),
                without_backup=without_backup,
            )
        )
    except (ConfigError, BotoCoreError, ClientError, subprocess.CalledProcessError) as error:
        found = [f"it could not be made sure that nothing is lost: {error}"]
    for reason in found:
        screen.print(f"[bold red]error:[/] {escape(reason)}", soft_wrap=True)
    if found:
        screen.print(f"stack {stack} is not destroyed")
        sys.exit(1)


if __name__ == "__main__":
    command(prog_name="scripts/pulumi destroy")
