"""A PostgreSQL primary with streaming replicas, for tests that hurt them. No agent looks after
them: what fails over does so because the test says so."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.servers import _folder, _postgres_programs, _run, _stop, _wrap, free_port

READY_SECONDS = 60.0
PARAMETERS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "max_wal_size": "256MB",
    "wal_retrieve_retry_interval": "200ms",
    "wal_receiver_status_interval": "1s",
    "jit": "off",
    "log_min_messages": "warning",
}


class Member:
    """One server, at the same port for as long as it lives."""

    def __init__(self, data: Path, user: str, password: str) -> None:
        self.data = data
        self.port = free_port()
        self._user, self._password = user, password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql://{self._user}:{self._password}@{self.name}/postgres"

    def start(self) -> None:
        options = [part for item in PARAMETERS.items() for part in ("-c", "=".join(item))]
        command = [_postgres_programs() / "postgres", "-D", self.data, "-p", self.port, *options]
        # Killed with the tests: a server that hangs at that moment would not hear anything else.
        words = [str(word) for word in _wrap(command, signal.SIGKILL, rootless=True)]
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers)

    def ask(self, statement: str, *values: object) -> Any:
        """The first value that a statement returns, if it returns any."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as conn:
            cursor = conn.execute(statement, values)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """All its processes are stopped, as on a machine that stalls: the kernel goes on."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                self._signal(signal.SIGCONT)
            _stop(self._process, signal.SIGINT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        for process in [postmaster, *postmaster.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("SELECT 1"))
        except psycopg.OperationalError:
            return False


class Cluster:
    """The members; the first was the primary in the beginning."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members

    @property
    def primary(self) -> Member:
        return self.members[0]

    @property
    def replicas(self) -> list[Member]:
        return self.members[1:]

    @property
    def writer_url(self) -> str:
        """As the platform gives it to the app: whichever member takes writes."""
        places = ",".join(member.name for member in self.members)
        return (
            f"{self.primary.url.replace(self.primary.name, places)}?target_session_attrs=read-write"
        )

    @property
    def urls(self) -> str:
        return ",".join(member.url for member in self.members)

    def level(self) -> None:
        """Waits until the replicas have everything."""
        position = self.primary.ask("SELECT pg_current_wal_flush_lsn()")
        there = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        wait_until(lambda: all(replica.ask(there, position) for replica in self.replicas))


@contextmanager
def postgres_cluster(replicas: int = 2) -> Iterator[Cluster]:
    """A primary with streaming replicas, in about a second."""
    user, password = "etcetera", secrets.token_hex(16)
    programs = _postgres_programs()
    with _folder("cluster") as folder:
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        members = [Member(folder / "member-1", user, password)]
        (primary,) = members
        _run(
            [
                *(programs / "initdb", "--pgdata", primary.data, "--no-sync"),
                *("--username", user, "--pwfile", secret, "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8"),
            ]
        )
        passfile = folder / "pgpass"
        passfile.touch(mode=0o600)
        passfile.write_text(f"*:*:*:*:{password}\n")
        try:
            primary.start()
            for number in range(2, replicas + 2):
                member = Member(folder / f"member-{number}", user, password)
                source = f"{primary.url.replace(password + '@', '@')}?passfile={passfile}"
                _run(
                    [
                        *(programs / "pg_basebackup", "-d", source, "-D", member.data, "-R"),
                        *("--checkpoint", "fast", "--no-sync"),
                    ]
                )
                member.start()
                members.append(member)
            yield Cluster(members)
        finally:
            for member in reversed(members):
                member.stop()


def wait_until(check: Callable[[], object], seconds: float = READY_SECONDS) -> None:
    """Returns when `check()` is true; fails when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
