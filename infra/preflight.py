"""Whether this machine can hold a local stack, asked before anything changes."""

import os
import shutil
import socket
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

import psutil

from components.target import PORTS, Binaries, LocalTarget
from infra.local import binaries
from infra.local.errors import LocalError

MINIMUM_FREE_BYTES = 512 * 1024 * 1024

# Off while a program is run only to read what is deployed, which a full disk does not hinder.
required: ContextVar[bool] = ContextVar("required", default=True)


class PreflightError(Exception):
    """This machine cannot hold the stack. The message says why and what to do; nothing changed."""


def check(target: LocalTarget, *, replicas: bool = False, cdn: bool = False) -> None:
    """Raises `PreflightError` with everything that stands in the way of `target`, at once.

    `replicas`: it will have a PostgreSQL with replicas. `cdn`: it will have a CDN.
    """
    if not required.get():
        return
    problems = [
        *_servers(target.binaries, replicas=replicas, cdn=cdn),
        *_folder(target.root),
        *_ports(target),
    ]
    if problems:
        raise PreflightError(
            "this machine cannot hold the stack; nothing was changed\n  " + "\n  ".join(problems)
        )


def _servers(chosen: Binaries, *, replicas: bool, cdn: bool) -> list[str]:
    """Every server that the target may run is there."""
    problems = []
    wanted: list[tuple[Callable[[Path | None], Path], Path | None]] = [
        (binaries.postgres_cluster if replicas else binaries.postgres, chosen.postgres),
        (binaries.redis, chosen.redis),
        (binaries.nginx_with_script if cdn else binaries.nginx, chosen.nginx),
        (binaries.node, chosen.node),
    ]
    if replicas:
        wanted.append((binaries.etcd, chosen.etcd))
    for find, override in wanted:
        try:
            find(override)
        except LocalError as error:
            problems.append(str(error))
    return problems


def _folder(root: Path) -> list[str]:
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not existing.is_dir():
        return [
            f"{existing} is not a folder. Remove it, or set etcetera:dataDir to another folder."
        ]
    # Asked by writing, since root may write where permissions say no and nobody can on a
    # file system mounted read-only.
    try:
        probe = existing / f".preflight-{os.getpid()}"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        return [
            f"{existing} cannot be written ({error.strerror}). Make it writable, free space on its "
            "disk, or set etcetera:dataDir to another folder."
        ]
    free = shutil.disk_usage(existing).free
    if free < MINIMUM_FREE_BYTES:
        return [
            f"{existing} has {free // 2**20} MB free; a stack needs {MINIMUM_FREE_BYTES // 2**20}. "
            "Free some, or set etcetera:dataDir to a folder on another disk."
        ]
    return []


def _ports(target: LocalTarget) -> list[str]:
    """A port of the stack is free or held by one of the stack's own processes."""
    taken = [port for port in map(target.port, PORTS) if _is_taken(port)]
    if not taken:
        return []
    holders = _listeners()
    problems = []
    for port in taken:
        holder = holders.get(port)
        if holder is not None and _belongs_to(holder, target.root):
            continue
        who = f"process {holder.pid} ({holder.name()})" if holder else "another process"
        problems.append(
            f"port {port} is in use by {who}. Stop it, or give the stack other ports: "
            "config set etcetera:portBase 9000"
        )
    return problems


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers bind, so that a connection that lingers in TIME_WAIT is not taken for one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _listeners() -> dict[int, psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr:
            try:
                found[connection.laddr.port] = psutil.Process(connection.pid)
            except psutil.NoSuchProcess:
                continue
    return found


def _belongs_to(process: psutil.Process, root: Path) -> bool:
    """Every process of a stack works in a folder of the stack."""
    try:
        return Path(process.cwd()).is_relative_to(root.resolve())
    except (psutil.Error, OSError):
        return False
