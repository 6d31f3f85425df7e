"""Decides when a stack on AWS may be destroyed: whose credentials, what backups, what is protected.

Answers of AWS come from a server of moto's on loopback, the state from a stand-in for the CLI that
writes down how it was called.
"""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.safety import Database, Deployed, Snapshot, objections
from tests.integration.local.conftest import free_port

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OURS, THEIRS = "123456789012", "210987654321"
REPOSITORY = Path(__file__).parents[3]
DATABASE = Database("postgres", "postgres-abc1234", last_words=True)
FRESH = Snapshot("postgres-abc1234", NOW - timedelta(hours=3), automated=False)


def state(account: str = OURS, *, protect: bool = False, **outputs: Any) -> dict[str, Any]:
    """What `pulumi stack export` prints of a stack with a database and a replica of it."""

    def database(name: str, **more: Any) -> dict[str, Any]:
        arn = f"arn:aws:rds:us-east-1:{account}:db:{name}-abc1234"
        return {
            "urn": f"urn:pulumi:s::etcetera::etcetera:data:Postgres$aws:rds/x:X::{name}",
            "type": "aws:rds/instance:Instance",
            "custom": True,
            "protect": protect,
            "outputs": {"arn": arn, "identifier": f"{name}-abc1234", **more},
        }

    return {
        "deployment": {
            "resources": [
                {"urn": "urn:pulumi:s::etcetera::pulumi:pulumi:Stack::s", "custom": False},
                database("postgres", **{"skipFinalSnapshot": False} | outputs),
                database("postgres-replica-1", replicateSourceDb="postgres-abc1234"),
            ]
        }
    }


def reasons(deployed: Deployed, **changes: Any) -> list[str]:
    values: dict[str, Any] = {
        "account": OURS,
        "credentials": OURS,
        "snapshots": [FRESH],
        "now": NOW,
        "without_backup": False,
    }
    return list(objections("phase1-aws", deployed, **values | changes))


def test_a_stack_with_a_fresh_backup_may_go() -> None:
    deployed = Deployed.parse(state())
    assert deployed.databases == (DATABASE,)
    assert reasons(deployed) == []


@pytest.mark.parametrize(
    ("changes", "there"), [({"credentials": THEIRS}, OURS), ({"account": THEIRS}, THEIRS)]
)
def test_another_account_is_refused_whatever_is_told(changes: dict[str, str], there: str) -> None:
    [reason] = reasons(Deployed.parse(state()), without_backup=True, **changes)
    assert f"the stack is in {there}" in reason


def test_an_account_that_only_the_state_names_is_refused() -> None:
    [reason] = reasons(Deployed.parse(state(THEIRS)))
    assert THEIRS in reason


@pytest.mark.parametrize(
    ("snapshots", "enough"),
    [
        ([], False),
        ([Snapshot("postgres-abc1234", NOW - timedelta(days=2), automated=False)], False),
        ([Snapshot("another", NOW, automated=False)], False),
        ([Snapshot("postgres-abc1234", NOW, automated=True)], True),
        ([FRESH], True),
    ],
)
def test_without_a_backup_of_the_last_day_it_is_refused_unless_told(
    snapshots: list[Snapshot], enough: bool
) -> None:
    deployed = Deployed.parse(state())
    assert (reasons(deployed, snapshots=snapshots) == []) == enough
    assert reasons(deployed, snapshots=snapshots, without_backup=True) == []


def test_an_automated_backup_is_none_where_no_final_snapshot_is_made() -> None:
    automated = Snapshot("postgres-abc1234", NOW, automated=True)
    deployed = Deployed.parse(state(skipFinalSnapshot=True))
    [reason] = reasons(deployed, snapshots=[automated])
    assert "aws rds create-db-snapshot --db-instance-identifier postgres-abc1234" in reason


def test_of_what_is_protected_it_is_told_how_to_release_it() -> None:
    [reason] = reasons(Deployed.parse(state(protect=True)))
    assert "postgres, postgres-replica-1 are protected" in reason
    assert "pulumi state unprotect --all --stack phase1-aws" in reason


def test_backups_of_a_database_on_the_cluster_go_with_the_stack() -> None:
    cluster = {"urn": "urn:pulumi:s::e::t::postgres", "custom": True}
    resources = [cluster | {"type": "kubernetes:postgresql.cnpg.io/v1:Cluster"}]
    deployed = Deployed.parse({"deployment": {"resources": resources}})
    [reason] = reasons(deployed)
    assert "copy them" in reason
    assert reasons(deployed, without_backup=True) == []


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Moto's AWS, whose only account is the one of the example stacks."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    yield
    server.stop()


class Cli:
    """A stand-in for the Pulumi CLI, first on the path."""

    def __init__(self, folder: Path, exported: dict[str, Any]) -> None:
        (folder / "state.json").write_text(json.dumps(exported))
        self._calls = folder / "calls"
        program = folder / "pulumi"
        program.write_text(
            f'#!/bin/sh\n[ "$1 $2" != "stack export" ] || exec cat {folder}/state.json\n'
            f'echo "$@" >>{self._calls}\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self._path = f"{folder}:{os.environ['PATH']}"

    def destroy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/pulumi", "destroy", "--stack", "phase1-aws", *arguments],
            cwd=REPOSITORY,
            env=os.environ | {"PATH": self._path},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.mark.usefixtures("cloud")
def test_the_cli_destroys_only_after_there_is_a_backup(tmp_path: Path) -> None:
    cli = Cli(tmp_path, state())
    rds = boto3.client("rds", region_name="us-east-1")
    rds.create_db_instance(
        DBInstanceIdentifier="postgres-abc1234",
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="x",
        MasterUserPassword="longenough",
    )
    for snapshot in rds.describe_db_snapshots()["DBSnapshots"]:
        rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot["DBSnapshotIdentifier"])
    refused = cli.destroy("--yes")
    assert refused.returncode == 1
    assert "has no backup of the last day" in refused.stderr
    assert cli.calls() == []

    rds.create_db_snapshot(
        DBInstanceIdentifier="postgres-abc1234", DBSnapshotIdentifier="before-the-end"
    )
    assert cli.destroy("--yes").returncode == 0
    assert cli.calls() == ["destroy --stack phase1-aws --yes"]


@pytest.mark.usefixtures("cloud")
def test_the_cli_is_not_told_what_only_we_know(tmp_path: Path) -> None:
    cli = Cli(tmp_path, state())
    assert cli.destroy("--without-backup", "--yes").returncode == 0
    assert cli.calls() == ["destroy --stack phase1-aws --yes"]


@pytest.mark.usefixtures("cloud")
def test_the_cli_destroys_nothing_in_another_account(tmp_path: Path) -> None:
    cli = Cli(tmp_path, state(THEIRS))
    refused = cli.destroy("--without-backup", "--yes")
    assert refused.returncode == 1
    assert THEIRS in refused.stderr
    assert cli.calls() == []
