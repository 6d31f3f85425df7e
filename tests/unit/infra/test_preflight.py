"""What this machine refuses is told before anything changes, with the port or folder and a fix."""

import os
import socket
import subprocess
import sys
from contextvars import Context
from pathlib import Path

import pytest

from components.target import Binaries, LocalTarget
from infra.preflight import PreflightError, check, required

PORT_BASE = 20100


def target(root: Path) -> LocalTarget:
    return LocalTarget(root=root, port_base=PORT_BASE, binaries=Binaries())


def test_a_free_machine_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    check(target(tmp_path / "stack"))
    assert list(tmp_path.iterdir()) == []


def test_a_port_held_by_somebody_else_is_refused_by_number_and_holder(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", PORT_BASE + 30))
        other.listen()
        with pytest.raises(PreflightError) as error:
            check(target(tmp_path / "stack"))
    message = str(error.value)
    assert f"port {PORT_BASE + 30}" in message
    assert str(os.getpid()) in message
    assert "etcetera:portBase" in message


def test_a_port_held_by_the_stack_itself_is_fine(tmp_path: Path) -> None:
    folder = tmp_path / "stack" / "run" / "web"
    folder.mkdir(parents=True)
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket; s = socket.socket(); "
            f"s.bind(('127.0.0.1', {PORT_BASE + 1})); s.listen(); print('up', flush=True); "
            "input()",
        ],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        check(target(tmp_path / "stack"))
    finally:
        server.kill()
        server.communicate()


def test_a_file_in_place_of_the_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stack").write_text("")
    with pytest.raises(PreflightError, match="is not a folder"):
        check(target(tmp_path / "stack"))


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    # /proc refuses new files to everybody, as a file system mounted read-only does.
    with pytest.raises(PreflightError, match=r"cannot be written.*etcetera:dataDir"):
        check(target(Path("/proc/stack")))


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.preflight.MINIMUM_FREE_BYTES", 2**60)
    with pytest.raises(PreflightError, match="MB free"):
        check(target(tmp_path / "stack"))


def test_a_server_that_is_not_there_is_refused_with_its_setting(tmp_path: Path) -> None:
    chosen = Binaries(redis=tmp_path / "redis-server", nginx=tmp_path / "nginx")
    with pytest.raises(PreflightError) as error:
        check(LocalTarget(tmp_path / "stack", PORT_BASE, chosen))
    assert "etcetera:redisBinary" in str(error.value)
    assert "etcetera:nginxBinary" in str(error.value)


def test_replicas_need_etcd(tmp_path: Path) -> None:
    without = LocalTarget(tmp_path / "stack", PORT_BASE, Binaries(etcd=tmp_path / "etcd"))
    check(without)
    with pytest.raises(PreflightError, match="etcetera:etcdBinary"):
        check(without, replicas=True)


def test_reading_what_is_deployed_asks_for_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.preflight.MINIMUM_FREE_BYTES", 2**60)

    def read() -> None:
        required.set(False)
        check(target(Path("/proc/stack")))

    Context().run(read)
