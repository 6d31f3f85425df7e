"""Decides that a process runs only while its pool's size reaches it, with real processes.

Growing and shrinking is no drift; a member that died is. Who decides the size is no matter here.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import DiffRequest, ReadRequest

from infra.engine import wire
from infra.local import operations
from infra.local.operations import UNKNOWN, Change
from infra.local.provider import LocalProvider
from infra.local.resources import pool_size_file
from infra.local.store import write_atomically
from infra.local.supervisor import summon, watched
from tests.integration.local.conftest import PROCESS, Stack, eventually

pytestmark = pytest.mark.integration

MEMBERS = 3


def place(ordinal: int) -> dict[str, Any]:
    return {"name": "workers", "ordinal": ordinal, "least": 1}


def inputs(stack: Stack, ordinal: int) -> dict[str, Any]:
    return {"root": str(stack.root), "command": ["sleep", "1000"], "pool": place(ordinal)}


def declare(stack: Stack) -> list[dict[str, Any]]:
    return [stack.process(f"worker-{n}", pool=place(n)) for n in range(1, MEMBERS + 1)]


def scale(stack: Stack, size: int) -> None:
    write_atomically(pool_size_file(stack.root, "workers"), f"{size}\n")


def states(stack: Stack) -> list[str]:
    return [stack.read(f"worker-{n}")["state"] for n in range(1, MEMBERS + 1)]


def ready(count: int) -> list[str]:
    return ["ready"] * count + ["parked"] * (MEMBERS - count)


def changes(stack: Stack) -> set[Change]:
    numbers = range(1, MEMBERS + 1)
    return {operations.diff(PROCESS, f"worker-{n}", inputs(stack, n)).change for n in numbers}


def on_wire(values: dict[str, Any]) -> dict[str, PropertyValue]:
    return PropertyValue.unmarshal_map(wire.pack(values))


def test_without_a_size_the_least_run_and_the_others_are_parked_at_once(stack: Stack) -> None:
    outputs = declare(stack)
    assert [output["state"] for output in outputs] == ready(1)
    assert [bool(output["pid"]) for output in outputs] == [True, False, False]
    assert len(stack.processes()) == 1
    assert declare(stack) == outputs


def test_the_size_starts_and_ends_processes_and_leaves_the_others_alone(stack: Stack) -> None:
    first = declare(stack)
    scale(stack, 3)
    eventually(lambda: states(stack) == ready(3))
    scale(stack, 1)
    eventually(lambda: states(stack) == ready(1))
    assert len(stack.processes()) == 1
    assert stack.read("worker-1") == first[0]
    assert stack.read("worker-3")["restarts"] == 0


def test_a_size_that_is_no_number_or_out_of_bounds_does_no_harm(stack: Stack) -> None:
    declare(stack)
    scale(stack, 99)
    eventually(lambda: states(stack) == ready(3))
    write_atomically(pool_size_file(stack.root, "workers"), "many")
    eventually(lambda: states(stack) == ready(1))


def test_scaling_is_no_drift_at_any_moment_and_a_dead_member_is(stack: Stack) -> None:
    declare(stack)
    for size in (3, 1, 2, 1):
        scale(stack, size)
        while states(stack) != ready(size):
            assert changes(stack) == {Change.NONE}
    scale(stack, 2)
    eventually(lambda: states(stack) == ready(2))
    stack.kill_supervisor()
    os.kill(stack.read("worker-2")["pid"], signal.SIGKILL)
    eventually(lambda: stack.read("worker-2")["state"] == "dead")
    assert operations.diff(PROCESS, "worker-2", inputs(stack, 2)).change is Change.UPDATE


def test_parked_members_want_a_supervisor_too(stack: Stack) -> None:
    declare(stack)
    stack.kill_supervisor()
    assert stack.read("worker-3")["state"] == "unsupervised"
    assert stack.process("worker-3", pool=place(3))["state"] == "parked"
    assert watched(stack.store)


def test_a_member_drains_before_it_is_parked(stack: Stack) -> None:
    script = (
        "import signal, sys, time\n"
        "def drain(*_): time.sleep(1); print('drained', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, drain)\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(1)\n"
    )
    scale_to = {"pool": place(2), "stop": {"timeoutSeconds": 20}}
    stack.process("worker-2", sys.executable, "-c", script, **scale_to)
    scale(stack, 2)
    eventually(lambda: stack.store.log("worker-2").exists() and "up" in stack.log("worker-2"))
    scale(stack, 1)
    eventually(lambda: stack.read("worker-2")["state"] == "parked")
    assert stack.log("worker-2").split() == ["up", "drained"]


def test_new_inputs_of_a_parked_member_start_nothing_and_count_when_it_runs(stack: Stack) -> None:
    declare(stack)
    changed = {"environment": {"A": "new"}, "pool": place(2)}
    command = ("sh", "-c", "echo $A; exec sleep 1000")
    assert stack.process("worker-2", *command, **changed)["state"] == "parked"
    assert len(stack.processes()) == 1
    scale(stack, 2)
    eventually(lambda: stack.store.log("worker-2").exists() and "new" in stack.log("worker-2"))


def test_a_member_that_cannot_start_is_given_up_at_once_when_the_pool_shrinks(
    stack: Stack,
) -> None:
    stack.process("worker-2", "false", pool=place(2))
    scale(stack, 2)
    eventually(lambda: stack.read("worker-2")["restarts"] >= 4)  # by then it waits for seconds
    scale(stack, 1)
    eventually(lambda: stack.read("worker-2")["state"] == "parked")


def test_a_supervisor_that_comes_back_brings_about_the_size_of_now(stack: Stack) -> None:
    declare(stack)
    scale(stack, 2)
    eventually(lambda: states(stack) == ready(2))
    stack.kill_supervisor()
    scale(stack, 1)
    summon(stack.store)
    eventually(lambda: states(stack) == ready(1))
    assert len(stack.processes()) == 1
    os.kill(stack.supervisor(), signal.SIGTERM)
    eventually(lambda: not watched(stack.store))
    scale(stack, 3)
    summon(stack.store)
    eventually(lambda: states(stack) == ready(3))


@pytest.mark.parametrize("seed", range(2))
def test_kills_at_random_moments_end_with_as_many_as_the_size_says(stack: Stack, seed: int) -> None:
    chance = random.Random(seed)
    declare(stack)
    size = 1
    for _ in range(5):
        size = chance.randint(0, MEMBERS)
        scale(stack, size)
        time.sleep(chance.uniform(0, 0.5))
        victims = [stack.supervisor(), *stack.processes()] if watched(stack.store) else []
        if victims:
            with suppress(ProcessLookupError):  # one that is being parked may end by itself
                os.kill(chance.choice(victims), signal.SIGKILL)
            time.sleep(0.05)
        summon(stack.store)
    eventually(lambda: states(stack) == ready(size))
    assert len(stack.processes()) == size


def test_the_size_goes_with_the_stack(stack: Stack) -> None:
    declare(stack)
    scale(stack, 3)
    eventually(lambda: states(stack) == ready(3))
    stack.destroy()
    assert not stack.root.exists()
    assert [output["state"] for output in declare(stack)] == ready(1)


def test_the_plugin_shows_no_drift_when_a_pool_was_scaled(stack: Stack) -> None:
    provider, urn = LocalProvider(), f"urn:pulumi:phase2::etcetera::{PROCESS}::worker-2"
    told = inputs(stack, 2)
    state = on_wire({**told, **stack.process("worker-2", pool=place(2))})

    def refreshed() -> dict[str, Any]:
        read = asyncio.run(provider.read(ReadRequest(urn, "worker-2", state, on_wire(told))))
        diff = asyncio.run(
            provider.diff(DiffRequest(urn, "worker-2", read.properties, on_wire(told), []))
        )
        assert not diff.changes
        return read.properties

    assert refreshed() == state
    scale(stack, 2)
    eventually(lambda: stack.read("worker-2")["state"] == "ready")
    assert refreshed() == state
    state = on_wire({**told, **stack.read("worker-2")})
    scale(stack, 1)
    eventually(lambda: stack.read("worker-2")["state"] == "parked")
    assert refreshed() == state


def test_a_preview_does_not_claim_to_know_whether_a_member_will_run(stack: Stack) -> None:
    outputs = operations.ensure(PROCESS, "worker-2", inputs(stack, 2), preview=True)
    assert outputs["state"] == UNKNOWN
    assert not Path(stack.root).exists()


def test_a_controller_that_is_killed_while_it_writes_leaves_nothing_behind(stack: Stack) -> None:
    declare(stack)
    part = pool_size_file(stack.root, "workers").with_name(".workers.1234.part")
    subprocess.run(["touch", part], check=True)
    scale(stack, 2)
    eventually(lambda: states(stack) == ready(2))
    stack.destroy()
    assert not stack.root.exists()
