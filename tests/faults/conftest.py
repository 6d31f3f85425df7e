"""One platform for all cases.

FAULT_ROUNDS=5 runs all of them so often; without it a few run once. FAULT_PHASE and FAULT_PORTS say
what is tried and where.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from components.bluesky.people import Person
from tests.faults import platform as platforms
from tests.faults import report
from tests.faults.cases import CASES
from tests.faults.ledger import Ledger
from tests.faults.platform import Platform
from tests.faults.report import Measured
from tests.faults.traffic import PEOPLE
from tests.servers import free_base

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "0"))
PHASE = int(os.environ.get("FAULT_PHASE", "2"))
PORT_BASE = int(os.environ.get("FAULT_PORTS") or free_base())
_rounds = pytest.StashKey[list[Measured]]()


@dataclass
class Trial:
    """What all cases share. `measured` is for the report, `missed` are writes that were lost."""

    platform: Platform
    people: Sequence[Person]
    ledger: Ledger
    measured: list[Measured] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)

    def note(self, round_: Measured) -> None:
        """Keeps it, also should the run be broken off."""
        self.measured.append(round_)
        if ROUNDS:
            report.write(self.measured, PHASE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    chosen = [case for case in CASES if case.phase <= PHASE and (ROUNDS or case.short)]
    configs = list(dict.fromkeys(tuple(case.config.items()) for case in chosen))
    metafunc.parametrize(
        "case",
        [
            pytest.param(case, id=f"{case.id}-{number + 1}")
            for config in configs  # each means a deployment
            for number in range(ROUNDS or 1)
            for case in chosen
            if tuple(case.config.items()) == config
        ],
    )


@pytest.fixture(scope="session")
def trial(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trial]:
    folder = tmp_path_factory.mktemp("faults")
    ledger = Ledger(folder / "ledger")
    with platforms.running(PHASE, folder / "stack", PORT_BASE) as platform:
        people = [platform.network.person(f"person-{number}") for number in range(PEOPLE)]
        trial = Trial(platform, people, ledger)
        request.config.stash[_rounds] = trial.measured
        yield trial
        ledger.close()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    measured = config.stash.get(_rounds, [])
    if not measured:
        return
    terminalreporter.section("faults, the worst of all rounds")
    terminalreporter.write(report.table(measured))
    if ROUNDS:
        terminalreporter.line(f"written to {report.FOLDER}")
