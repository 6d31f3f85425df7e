"""Decides that the local target comes through kills at any moment, with real processes."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import ReadRequest

from infra.local import operations, procfs
from infra.local.errors import LocalError
from infra.local.operations import Change
from infra.local.provider import LocalProvider
from infra.local.supervisor import summon, watched
from infra.local.values import wrap
from tests.integration.local.conftest import HASTY, PROCESS, SECRET, Stack, eventually, free_port

pytestmark = pytest.mark.integration


def test_a_killed_process_is_back_without_being_asked_for(stack: Stack) -> None:
    # No probe would notice within an hour.
    first = stack.server("web", free_port(), liveness={"intervalSeconds": 3600})
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: stack.read("web")["restarts"] >= 1)
    eventually(lambda: stack.read("web")["state"] == "ready")
    assert stack.read("web")["pid"] != first["pid"]


def test_a_stopped_process_is_replaced(stack: Stack) -> None:
    first = stack.server("web", free_port(), liveness=HASTY)
    os.kill(first["pid"], signal.SIGSTOP)
    eventually(lambda: stack.read("web")["restarts"] >= 1)
    eventually(lambda: stack.read("web")["state"] == "ready")
    assert stack.read("web")["pid"] != first["pid"]
    assert procfs.look(first["pid"]) is None


def test_a_process_that_hangs_does_not_get_the_time_to_stop_that_others_get(
    stack: Stack, tmp_path: Path
) -> None:
    port, deaf, seen = free_port(), tmp_path / "deaf", tmp_path / "seen"
    # The first of them becomes deaf to HTTP and to SIGTERM, the next one is as it should be.
    program = f"""if True:
        import http.server, pathlib, signal, time
        seen, deaf = pathlib.Path({str(seen)!r}), pathlib.Path({str(deaf)!r})
        first = not seen.exists()
        if first:
            seen.touch()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                while first and deaf.exists():
                    time.sleep(1)
                super().do_GET()
        http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
    """
    first = stack.process(
        "deaf",
        *(sys.executable, "-c", program),
        ready={"http": f"http://127.0.0.1:{port}/"},
        liveness=HASTY,
        stop={"timeoutSeconds": 120},
    )
    deaf.touch()
    eventually(lambda: stack.read("deaf")["pid"] not in (0, first["pid"]))


def test_a_process_with_signs_of_life_is_left_alone_while_it_is_not_ready(stack: Stack) -> None:
    port = free_port()
    readiness = {"ready": {"exec": ["test", "-e", "{folder}/ready"]}, "files": {"ready": ""}}
    first = stack.process(
        "member",
        *(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)),
        **readiness,
        liveness={**HASTY, "probes": [{"http": f"http://127.0.0.1:{port}/"}], "kill": True},
        stop={"timeoutSeconds": 30},
    )
    # Gives no other sign of life, and shows when the member would have been replaced long since.
    other = stack.process("other", **readiness, liveness={**HASTY, "failures": 8})
    (Path(first["folder"]) / "ready").unlink()
    (Path(other["folder"]) / "ready").unlink()
    eventually(lambda: stack.read("other")["restarts"] >= 1)
    assert stack.read("member")["restarts"] == 0
    os.kill(first["pid"], signal.SIGSTOP)  # killed, it needs no time to stop
    eventually(lambda: stack.read("member")["restarts"] >= 1)
    eventually(lambda: stack.read("member")["pid"] not in (0, first["pid"]))


def test_processes_outlive_a_killed_supervisor_and_the_next_adopts_them(stack: Stack) -> None:
    port = free_port()
    first = stack.server("web", port)
    stack.kill_supervisor()
    assert stack.read("web")["state"] == "unsupervised"
    inputs = stack.store.records()[0].inputs
    assert operations.diff(PROCESS, "web", inputs).change is Change.UPDATE
    assert stack.server("web", port) == first
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: stack.read("web")["restarts"] >= 1)


def test_a_process_that_died_with_its_supervisor_is_seen_dead_and_repaired(stack: Stack) -> None:
    port = free_port()
    first = stack.server("web", port)
    stack.kill_supervisor()
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: stack.read("web")["state"] == "dead")
    assert stack.read("web")["pid"] == 0
    assert stack.server("web", port)["pid"] not in (0, first["pid"])


def test_a_process_its_supervisor_had_not_noted_yet_is_adopted(stack: Stack) -> None:
    first = stack.process("web")
    stack.kill_supervisor()
    (stack.root / "status/web.json").unlink()
    assert stack.process("web")["pid"] == first["pid"]
    assert stack.processes() == [first["pid"]]


def test_a_process_changed_while_nobody_watched_is_replaced(stack: Stack) -> None:
    first = stack.process("web", environment={"A": "1"})
    stack.kill_supervisor()
    second = stack.process("web", environment={"A": "2"})
    assert second["pid"] != first["pid"]
    assert stack.processes() == [second["pid"]]


def test_initializing_interrupted_by_a_kill_starts_over(stack: Stack) -> None:
    step = {
        "command": ["sh", "-c", "mkdir $0; test -e {folder}/fast || sleep 1000", "{staging}"],
        "creates": "database",
    }
    inputs = {"root": str(stack.root), "command": ["sleep", "1000"], "initialize": [step]}
    engine = _engine(f"ensure({PROCESS!r}, 'db', {inputs!r})")
    folder = stack.root / "run/db"
    eventually((folder / ".database.staging").exists)
    engine.kill()
    engine.wait()
    stack.kill_supervisor()
    assert not (folder / "database").exists()
    (folder / "fast").touch()
    operations.ensure(PROCESS, "db", inputs)
    assert sorted(path.name for path in folder.iterdir()) == ["database", "fast"]
    assert len(stack.processes()) == 1


def _engine(operation: str) -> "subprocess.Popen[bytes]":
    """Another process that performs the operation, to be killed in the middle of it."""
    code = f"from infra.local import operations; operations.{operation}"
    return subprocess.Popen([sys.executable, "-c", code])


def test_an_interrupted_task_runs_again(stack: Stack) -> None:
    script = "echo begun; test -e fast || sleep 1000; echo finished"
    inputs = {"root": str(stack.root), "command": ["sh", "-c", script]}
    engine = _engine(f"ensure('local:index:Task', 't', {inputs!r})")
    eventually(lambda: stack.store.log("t").exists() and "begun" in stack.log("t"))
    engine.kill()
    engine.wait()
    stack.kill_supervisor()
    (stack.root / "run/t/fast").touch()
    assert stack.task("t", script)["state"] == "succeeded"
    assert stack.log("t") == "begun\nbegun\nfinished\n"


def test_a_delete_interrupted_by_a_kill_is_completed_by_the_next(stack: Stack) -> None:
    stack.process(
        "slow",
        "sh",
        "-c",
        "trap 'while ! test -e go; do sleep 0.05; done; exit' TERM; while :; do sleep 0.05; done",
        stop={"timeoutSeconds": 60},
    )
    engine = _engine(f"delete({PROCESS!r}, 'slow', {str(stack.root)!r})")
    eventually(lambda: stack.store.records()[0].removed)
    engine.kill()
    engine.wait()
    stack.kill_supervisor()
    (stack.root / "run/slow/go").touch()
    operations.delete(PROCESS, "slow", stack.root)
    assert not stack.root.exists()
    assert stack.processes() == []


def test_sigterm_stops_everything_last_started_first_and_keeps_what_is_wanted(
    stack: Stack, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    # Not a shell, which may lose a signal that arrives between two commands.
    script = f"""if True:
        import pathlib, signal, sys, time
        def end(*_):
            with open({str(order)!r}, "a") as file:
                print(sys.argv[1], file=file)
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        pathlib.Path("heeds").touch()
        while True:
            time.sleep(1)
    """
    heeds = {"ready": {"exec": ["test", "-e", "{folder}/heeds"]}, "stop": {"timeoutSeconds": 60}}
    for name in ("first", "second", "third"):
        stack.process(name, sys.executable, "-c", script, name, **heeds)
    os.kill(stack.supervisor(), signal.SIGTERM)
    eventually(lambda: not watched(stack.store))
    assert order.read_text().split() == ["third", "second", "first"]
    assert stack.processes() == []
    assert stack.read("first")["state"] == "stopped"
    summon(stack.store)
    eventually(lambda: all(stack.read(n)["state"] == "ready" for n in ("first", "second", "third")))


def test_a_second_supervisor_gives_way_to_the_first(stack: Stack) -> None:
    first = stack.process("web")
    pid = stack.supervisor()
    command = [sys.executable, "-m", "infra.local.supervisor", str(stack.root)]
    assert subprocess.run(command, check=False).returncode == 0
    assert stack.supervisor() == pid
    assert stack.process("web") == first


def test_a_pid_that_went_to_another_process_is_not_touched(stack: Stack) -> None:
    first = stack.process("web")
    stack.kill_supervisor()
    os.kill(first["pid"], signal.SIGKILL)
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        path = stack.root / "status/web.json"
        path.write_text(
            path.read_text().replace(f'"pid": {first["pid"]}', f'"pid": {stranger.pid}')
        )
        assert stack.process("web")["pid"] not in (first["pid"], stranger.pid)
        assert stranger.poll() is None
        stranger.kill()


def test_a_shell_of_somebody_in_the_folder_is_not_killed(stack: Stack) -> None:
    folder = stack.process("web")["folder"]
    terminal, other_end = os.openpty()
    script = "import os, time; os.setsid(); os.open(os.ttyname(0), os.O_RDWR); time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", script], stdin=other_end, cwd=folder) as shell:
        eventually(lambda: (seen := procfs.look(shell.pid)) and seen.terminal)
        operations.delete(PROCESS, "web", stack.root)
        assert shell.poll() is None
        shell.kill()
    os.close(terminal)
    os.close(other_end)


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments_are_repaired_by_the_next_up(stack: Stack, seed: int) -> None:
    chance = random.Random(seed)
    ports = [free_port() for _ in range(3)]
    code = (
        "import sys, pathlib; from tests.integration.local.conftest import Stack;"
        f"s = Stack(pathlib.Path({str(stack.root)!r}));"
        f"[s.server(f'web{{i}}', p) for i, p in enumerate({ports!r})]"
    )
    for _ in range(4):
        engine = subprocess.Popen([sys.executable, "-c", code])
        time.sleep(chance.uniform(0.2, 1.5))
        engine.kill()
        engine.wait()
        if chance.random() < 0.7 and watched(stack.store):
            stack.kill_supervisor()
    outputs = [stack.server(f"web{i}", port) for i, port in enumerate(ports)]
    assert [stack.server(f"web{i}", port) for i, port in enumerate(ports)] == outputs
    assert len(stack.processes()) == 3


def test_a_supervisor_of_another_edition_is_replaced_and_its_processes_stay(stack: Stack) -> None:
    first = stack.process("web")
    old = stack.supervisor()
    stack.store.supervisor_lock.write_text(f"{old} before-the-upgrade\n")
    second = stack.process("other")
    assert stack.supervisor() != old
    assert stack.process("web") == first
    assert sorted(stack.processes()) == sorted([first["pid"], second["pid"]])


def test_a_full_disk_does_not_keep_a_stack_from_being_destroyed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.process("web")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LocalError, match="No space left on device"):
            stack.process("other")
        assert stack.read("web")["state"] == "ready"
        operations.delete(PROCESS, "web", stack.root)
    assert not stack.root.exists()


def test_a_refresh_shows_that_a_process_died_although_it_is_back(stack: Stack) -> None:
    first = stack.process("web")
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: stack.read("web")["state"] == "ready" and stack.read("web")["restarts"])
    urn = f"urn:pulumi:phase0::etcetera::{PROCESS}::web"
    state = wrap({**first, "root": str(stack.root)})
    found = asyncio.run(LocalProvider().read(ReadRequest(urn, "web", state, {})))
    assert found.properties["state"].value == "restarted"
    same = asyncio.run(LocalProvider().read(ReadRequest(urn, "web", found.properties, {})))
    assert same.properties["state"].value == "ready"


def test_a_refresh_of_a_secret_and_of_what_is_gone(stack: Stack) -> None:
    inputs = {"root": str(stack.root)}
    made = operations.ensure(SECRET, "password", inputs)
    urn = f"urn:pulumi:phase0::etcetera::{SECRET}::password"
    request = ReadRequest(urn, "password", wrap({**made, **inputs}), {})
    found = asyncio.run(LocalProvider().read(request))
    assert found.properties["value"] == PropertyValue(made["value"], is_secret=True)
    operations.delete(SECRET, "password", stack.root)
    assert asyncio.run(LocalProvider().read(request)).resource_id == ""


def test_nothing_outlives_a_folder_that_somebody_deletes(stack: Stack) -> None:
    port = free_port()
    pid, supervisor = stack.server("web", port)["pid"], stack.supervisor()

    def deleted() -> bool:
        shutil.rmtree(stack.root, ignore_errors=True)
        return not stack.root.exists()

    eventually(deleted)  # logs and statuses may be written in between
    eventually(lambda: procfs.look(pid) is None and procfs.look(supervisor) is None)
