"""Decides that `scripts/bench` runs to its end and fills in every figure, never how large it is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.servers import free_base


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_a_quick_run_measures_every_part() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "--json", "--port-base", str(free_base())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {row["server"] for row in report["pages"]["rows"]} == {
        "bare Flask",
        "without cache",
        "with cache",
    }
    assert all(row["failures"] == 0 for row in report["pages"]["rows"])
    assert [row["way"] for row in report["bot"]["rows"]][-2:] == ["phase0", "phase1"]
    assert report["bot"]["statements"] > 5
    phase0, phase1 = report["phases"]["rows"]
    assert phase0["window"]["hit_rate"] is None
    assert phase1["window"]["hit_rate"] > 0
    assert report["phases"]["tenfold"]["people"] == 10 * phase0["people"]["median"]
