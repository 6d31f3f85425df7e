"""Stacks of all phases, brought up once for all tests of this folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from components.bluesky.people import Person
from infra.phases import PHASES
from tests.servers import free_base
from tests.stacks import running

_people = count(1)


@dataclass(frozen=True)
class RunningStack:
    """A stack that is up."""

    phase: int
    root: Path
    port_base: int
    outputs: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.outputs["web_url"])

    @property
    def bot(self) -> str:
        return str(self.outputs["bot_handle"])

    @property
    def accounts(self) -> set[str]:
        """The handles under which the bot answers."""
        couriers = range(1, PHASES[self.phase].workload.bot_accounts)
        return {self.bot, *(f"etcetera-courier-{number}.test" for number in couriers)}

    def person(self, name: str = "person") -> Person:
        """Somebody new on the stack's Bluesky network."""
        handle = f"{name}-{next(_people)}.test"
        return Person.sign_up(self.outputs["endpoints"]["bluesky_url"], handle, "a-password")


@pytest.fixture(scope="session", params=sorted(PHASES), ids="phase{}".format)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    phase = int(request.param)
    root = tmp_path_factory.mktemp("stacks") / f"phase{phase}"
    port_base = free_base()
    with running(root, port_base, phase=str(phase)) as outputs:
        yield RunningStack(phase, root, port_base, outputs)
