"""Decides that `scripts/drift` finds what real processes have come to, without the CLI."""

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from infra import drift
from infra.engine.stackfile import StackFile
from tests.integration.local.conftest import Stack, eventually

pytestmark = pytest.mark.integration


def test_a_process_that_cannot_come_back_is_drift_until_it_can(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "Pulumi.trial.yaml").open("w") as file:
        values = {"etcetera:phase": "0", "etcetera:dataDir": str(stack.root)}
        YAML().dump({"config": values}, file)
    monkeypatch.setattr(StackFile, "open", partial(StackFile.open, folder=tmp_path))

    def found() -> tuple[int, list[dict[str, Any]]]:
        result = CliRunner().invoke(drift.command, ["trial", "--json"])
        return result.exit_code, json.loads(result.stdout)

    needed = tmp_path / "needed"
    needed.touch()
    stack.process("sleeper", "sh", "-c", f"test -e {needed} && exec sleep 1000")
    assert found() == (0, [])

    needed.unlink()
    os.kill(stack.read("sleeper")["pid"], signal.SIGKILL)
    eventually(lambda: found()[0] == drift.DRIFTED)
    [lost] = found()[1]
    assert (lost["name"], lost["keys"]) == ("sleeper", ["state"])

    needed.touch()
    eventually(lambda: found() == (0, []), seconds=30)
