"""Decides how one process is started, left alone, changed and ended, with real processes.

What happens when something is killed is decided in test_survival.
"""

import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from infra.local import binaries, logs, operations
from infra.local.errors import LocalError, NotReadyError
from infra.local.operations import UNKNOWN, Change, Difference
from infra.local.supervisor import watched
from tests.integration.local.conftest import PROCESS, SECRET, TASK, Stack, eventually, free_port

pytestmark = pytest.mark.integration


def test_a_secret_is_made_once_and_kept(stack: Stack) -> None:
    inputs = {"root": str(stack.root), "length": 40.0}
    value = operations.ensure(SECRET, "password", inputs)["value"]
    assert len(value) == 40
    assert operations.ensure(SECRET, "password", inputs)["value"] == value
    assert operations.ensure(SECRET, "password", inputs, preview=True)["value"] == value
    assert operations.read(SECRET, "password", stack.root) == {"value": value}


def test_a_preview_touches_nothing(stack: Stack) -> None:
    inputs = {"root": str(stack.root), "command": ["sleep", "1"], "environment": {"A": UNKNOWN}}
    outputs = operations.ensure(PROCESS, "web", inputs, preview=True)
    assert outputs["pid"] == UNKNOWN
    assert outputs["folder"] == str(stack.root / "run/web")
    assert not stack.root.exists()


def test_what_runs_already_is_left_alone(stack: Stack) -> None:
    port = free_port()
    first = stack.server("web", port)
    assert first["state"] == "ready"
    assert stack.server("web", port, ports=[float(port)]) == first


def test_many_ensures_at_once_start_one_supervisor_and_one_process_each(stack: Stack) -> None:
    with ThreadPoolExecutor(12) as pool:
        outputs = list(pool.map(lambda number: stack.process(f"p{number % 6}"), range(12)))
    assert len({output["pid"] for output in outputs}) == 6
    assert len(stack.processes()) == 6
    assert sorted(e.sequence for e in operations.entries(stack.root)) == [1, 2, 3, 4, 5, 6]


def test_diff_names_what_changed_and_what_is_missing(stack: Stack) -> None:
    inputs = {"root": str(stack.root), "command": ["sleep", "1000"]}
    assert operations.diff(PROCESS, "web", inputs) == Difference(Change.CREATE)
    operations.ensure(PROCESS, "web", inputs)
    assert operations.diff(PROCESS, "web", inputs) == Difference(Change.NONE)
    assert operations.diff(PROCESS, "web", {**inputs, "environment": {"A": "b"}}) == Difference(
        Change.UPDATE, ("environment",)
    )
    assert operations.diff(PROCESS, "web", {**inputs, "files": {"a": UNKNOWN}}) == Difference(
        Change.UPDATE, ("files",)
    )


def test_a_changed_environment_restarts_the_process_and_keeps_its_data(stack: Stack) -> None:
    first = stack.process("web", environment={"A": "1"})
    data = Path(first["folder"]) / "data"
    data.write_text("kept")
    second = stack.process("web", environment={"A": "2"})
    assert second["pid"] != first["pid"]
    assert second["restarts"] == 0
    assert data.read_text() == "kept"


def test_changed_rules_of_the_supervisor_do_not_restart_the_process(stack: Stack) -> None:
    first = stack.process("web")
    assert stack.process("web", stop={"signal": "SIGINT"})["pid"] == first["pid"]


def test_changed_files_reload_a_process_that_can(stack: Stack) -> None:
    # Not a shell, which may lose a signal that arrives between two commands.
    script = (
        "import signal, sys, time\n"
        "def show(*_): print(open('conf').read(), end='', flush=True)\n"
        "signal.signal(signal.SIGHUP, show)\n"
        "print('started', sys.argv[1])\n"
        "show()\n"
        "while True: time.sleep(1)\n"
    )
    command = (sys.executable, "-c", script, "{folder}")
    inputs = {"reloadSignal": "SIGHUP"}
    first = stack.process("web", *command, files={"conf": "one in {folder}\n"}, **inputs)
    eventually(lambda: "one in" in stack.log("web"))
    second = stack.process("web", *command, files={"conf": "two\n"}, **inputs)
    eventually(lambda: "two" in stack.log("web"))
    assert second["pid"] == first["pid"]
    assert f"one in {first['folder']}\n" in stack.log("web")
    assert f"started {first['folder']}\n" in stack.log("web")


def test_files_are_private_and_stale_ones_go(stack: Stack) -> None:
    folder = Path(stack.process("web", files={"a/b": "x", "c": "y"})["folder"])
    assert (folder / "a/b").stat().st_mode & 0o777 == 0o600
    stack.process("web", files={"c": "y"})
    assert not (folder / "a/b").exists()
    assert (folder / "c").read_text() == "y"


def test_the_environment_is_its_own(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEBODYS_PASSWORD", "hidden")
    stack.process("web", "sh", "-c", "env; exec sleep 1000", environment={"MINE": "yes"})
    eventually(lambda: "MINE=yes" in stack.log("web"))
    assert "hidden" not in stack.log("web")


def test_a_port_in_use_is_refused_before_anything_changes(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalError) as refused:
            stack.server("web", port, portHint="Set etcetera:ports:web to another.")
    assert f"port {port} is in use by " in str(refused.value)
    assert f"(process {os.getpid()})" in str(refused.value)
    assert "Set etcetera:ports:web to another." in str(refused.value)
    assert not isinstance(refused.value, NotReadyError)
    assert operations.entries(stack.root) == []


def test_a_process_may_keep_its_own_port_through_a_restart(stack: Stack) -> None:
    port = free_port()
    first = stack.server("web", port)
    second = stack.server("web", port, environment={"A": "b"})
    assert second["pid"] != first["pid"]


def test_a_program_that_does_not_exist_is_told(stack: Stack) -> None:
    with pytest.raises(NotReadyError, match="cannot run no-such-program"):
        stack.process("web", "no-such-program")


def test_a_process_that_keeps_ending_is_told_with_its_log_but_no_secret(stack: Stack) -> None:
    value = operations.ensure(SECRET, "password", {"root": str(stack.root)})["value"]
    with pytest.raises(NotReadyError) as failed:
        stack.process(
            "web", "sh", "-c", "echo no entry with $URL; exit 7", environment={"URL": value}
        )
    assert "ended with status 7" in str(failed.value)
    assert "no entry with [secret]" in str(failed.value)
    assert (
        operations.diff(
            PROCESS, "web", {"root": str(stack.root), "command": ["sleep", "1000"]}
        ).change
        is Change.UPDATE
    )
    assert stack.process("web")["state"] == "ready"


def test_a_process_that_is_not_ready_in_time_is_told_and_can_be_waited_for_again(
    stack: Stack,
) -> None:
    inputs = {
        "ready": {"exec": ["test", "-e", "{folder}/up"]},
        "readyTimeoutSeconds": 8,
        "stop": {"timeoutSeconds": 0.1},
    }
    with pytest.raises(NotReadyError, match="test exits with 1"):
        stack.process("web", **inputs)
    pid = stack.read("web")["pid"]
    (stack.root / "run/web/up").touch()
    assert stack.process("web", **inputs)["pid"] == pid


def test_waiting_can_be_cancelled(stack: Stack) -> None:
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    inputs = {"root": str(stack.root), "command": ["sleep", "99"], "ready": {"exec": ["false"]}}
    with pytest.raises(NotReadyError, match="cancelled"):
        operations.ensure(PROCESS, "web", inputs, cancelled=cancelled)


def test_initializing_happens_once(stack: Stack) -> None:
    step = {
        "command": ["sh", "-c", "mkdir $0; cp seed $0/data; echo made", "{staging}"],
        "creates": "database",
    }
    inputs = {"initialize": [step], "files": {"seed": "first"}}
    folder = Path(stack.process("db", **inputs)["folder"])
    assert (folder / "database/data").read_text() == "first"
    stack.process("db", **inputs, environment={"A": "b"})
    assert stack.log("db").count("made") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["database", "seed"]


def test_initializing_that_fails_leaves_nothing_half_made(stack: Stack) -> None:
    step = {"command": ["sh", "-c", "mkdir $0; exit 3", "{staging}"], "creates": "database"}
    with pytest.raises(NotReadyError, match="initializing failed: sh ended with status 3"):
        stack.process("db", initialize=[step])
    assert list((stack.root / "run/db").iterdir()) == []


def test_a_task_runs_once_and_again_when_its_inputs_change(stack: Stack) -> None:
    stack.task("migrate", "echo ran")
    done = stack.task("migrate", "echo ran")
    assert done["state"] == "succeeded"
    assert stack.log("migrate") == "ran\n"
    stack.task("migrate", "echo ran", triggers={"version": 2})
    assert stack.log("migrate") == "ran\nran\n"


def test_a_task_that_failed_tells_why_and_is_run_again(stack: Stack) -> None:
    script = "echo no such table; exit ${STATUS:-$(test -e ok; echo $?)}"
    with pytest.raises(NotReadyError, match=r"ended with status 1[\s\S]*no such table"):
        stack.task("migrate", script)
    (stack.root / "run/migrate/ok").touch()
    assert stack.task("migrate", script)["state"] == "succeeded"


def test_a_task_that_takes_too_long_is_ended_with_all_it_started(stack: Stack) -> None:
    with pytest.raises(NotReadyError, match=r"did not end within 0\.3 s"):
        stack.task("migrate", "setsid sleep 1000 & sleep 1000", timeoutSeconds=0.3)
    assert stack.processes() == []


def test_a_stack_of_finished_tasks_needs_no_supervisor(stack: Stack) -> None:
    stack.task("migrate", "true")
    eventually(lambda: not watched(stack.store))
    operations.delete(TASK, "migrate", stack.root)
    assert not stack.root.exists()


def test_deleting_leaves_no_process_file_or_port(stack: Stack) -> None:
    port = free_port()
    stack.server("web", port)
    stack.process("other")
    operations.delete(PROCESS, "web", stack.root)
    assert operations.read(PROCESS, "web", stack.root) is None
    assert stack.store.traces() == {"other"}
    with socket.create_server(("127.0.0.1", port)):
        pass
    operations.delete(PROCESS, "other", stack.root)
    operations.delete(PROCESS, "other", stack.root)
    assert not stack.root.exists()


def test_what_was_ready_before_may_be_needed_and_what_began_beside_it_is_not(
    stack: Stack,
) -> None:
    operations.ensure(SECRET, "password", {"root": str(stack.root)})
    stack.process("database")
    slow = {"ready": {"exec": ["test", "-e", "{folder}/up"]}}
    with ThreadPoolExecutor(1) as thread:
        web = thread.submit(lambda: stack.process("web", **slow))
        eventually((stack.root / "run/web").exists)
        stack.process("worker")
        (stack.root / "run/web/up").touch()
        web.result()
    stack.process("worker", environment={"A": "changed"})
    assert {entry.name: entry.needs for entry in operations.entries(stack.root)} == {
        "password": set(),
        "database": {"password"},
        "web": {"password", "database"},
        "worker": {"password", "database"},
    }


def test_a_process_that_ignores_its_stop_signal_is_killed(stack: Stack) -> None:
    stack.process(
        "stubborn",
        "sh",
        "-c",
        "trap '' TERM; while :; do sleep 0.1; done",
        stop={"timeoutSeconds": 0.5},
    )
    operations.delete(PROCESS, "stubborn", stack.root)
    assert stack.processes() == []


def test_children_in_sessions_of_their_own_are_swept(stack: Stack) -> None:
    daemon = "import os,time; os.chdir('/'); os.fork() and os._exit(0); os.setsid(); time.sleep(99)"
    unlike_any_other = f"sleep 1000.{os.getpid()}"
    script = (
        f'{sys.executable} -c "{daemon}"; (cd /; env -i setsid {unlike_any_other} &) ; '
        "echo both; exec sleep 1000"
    )
    stack.process("web", "sh", "-c", script)
    eventually(lambda: len(stack.processes()) == 2)
    eventually(lambda: _running(unlike_any_other))
    time.sleep(1.5)  # the supervisor looks for such relatives every second
    stack.destroy()
    assert stack.processes() == []
    assert not _running(unlike_any_other)


def _running(command: str) -> bool:
    words = command.encode().replace(b" ", b"\0") + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes() == words:
                return True
    return False


def test_a_large_log_is_rotated_while_its_writer_lives(stack: Stack) -> None:
    megabytes = logs.LIMIT_BYTES // 1_000_000 + 1
    script = f"head -c {megabytes}000000 /dev/zero; while :; do echo beat; sleep 0.05; done"
    pid = stack.process("noisy", "sh", "-c", script)["pid"]
    rotated = stack.store.log("noisy").with_name("noisy.log.1")
    eventually(rotated.exists)
    eventually(lambda: stack.store.log("noisy").stat().st_size < 1_000_000)
    eventually(lambda: "beat" in stack.log("noisy"))
    assert stack.read("noisy")["pid"] == pid


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/usr/bin/unshare").exists(), reason="unshare")
def test_a_real_postgres_starts_and_keeps_its_data_through_a_restart(stack: Stack) -> None:
    folder, port = binaries.postgres(), free_port()
    inputs = {
        "files": {"password": "secret-word"},
        "initialize": [
            {
                "command": [
                    str(folder / "initdb"), "-D", "{staging}", "--username=app", "--no-sync",
                    "--pwfile={folder}/password", "--auth=scram-sha-256", "--no-instructions",
                ],
                "creates": "data",
            }
        ],
        "ports": [port],
        "ready": {"exec": [str(folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]},
        "stop": {"signal": "SIGINT"},
        "userNamespace": True,
    }  # fmt: skip
    command = [
        str(folder / "postgres"), "-D", "{folder}/data", "-p", str(port),
        "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories={folder}",
        "-c", "shared_buffers=16MB",
    ]  # fmt: skip
    query = f"{folder}/psql -h 127.0.0.1 -p {port} -U app -d postgres -Atc "
    password = {"PGPASSWORD": "secret-word"}
    first = stack.process("db", *command, **inputs)
    stack.task("fill", query + "'create table t as select 42 as x'", environment=password)
    os.kill(first["pid"], 9)
    eventually(lambda: stack.read("db")["restarts"])
    eventually(lambda: stack.read("db")["state"] == "ready")
    stack.task("ask", f"{query} 'table t'", environment=password)
    assert "42" in stack.log("ask")
