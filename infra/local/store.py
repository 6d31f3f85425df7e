"""What is wanted and what is there, on disk: the source of recovery of both engines.

root/                      0700
    desired/NAME.json      what `ensure` asked for; NAME.removed while it is taken down
    status/NAME.json       what the supervisor sees
    run/NAME/              the process's folder, with its data
    logs/NAME.log[.N]
    pools/NAME             the size of a pool of processes, written by whoever scales it
    lock                   held while desired/ changes
    supervisor.lock        held while a supervisor lives
    supervisor.log
"""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.errors import LocalError
from infra.local.spec import AnySpec, Pool, parse


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A wanted resource.

    `sequence` is its place in the order of first creation; `attempt` grows each time it is asked
    for anew, which makes the supervisor try again at once; `value` is the text of a secret.
    `after` names what was settled when it was first asked for: it can depend on nothing else. None
    (in records of an earlier version) stands for all that is older.
    A removed resource keeps its record, with how to stop it, until its folder is gone.
    """

    type: str
    name: str
    inputs: Mapping[str, Any] = field(repr=False)
    digest: str
    sequence: int
    attempt: int = 1
    value: str | None = field(default=None, repr=False)
    removed: bool = False
    after: Sequence[str] | None = None

    def spec(self) -> AnySpec:
        return parse(self.type, self.inputs)


@dataclass(frozen=True, kw_only=True)
class Status:
    """What the supervisor last saw; `pid` with `birth` identifies a process even after its end.

    `digest` and `attempt` tell which record it acted on, `running` what the process was started
    with.
    """

    state: str
    pid: int = 0
    birth: str = ""
    digest: str = ""
    running: str = ""
    attempt: int = 0
    sequence: int = 0
    restarts: int = 0
    started_at: str = ""
    finished_at: str = ""
    since: str = field(default_factory=now)
    last_error: str = ""
    files: list[str] = field(default_factory=list)


class Store:
    """The folder of one stack."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.desired = self.root / "desired"
        self.supervisor_lock = self.root / "supervisor.lock"
        self.supervisor_log = self.root / "supervisor.log"
        self._status = self.root / "status"
        self._run = self.root / "run"
        self._logs = self.root / "logs"
        self._pools = self.root / "pools"
        self._lock = self.root / "lock"

    def exists(self) -> bool:
        return self._lock.exists()

    def folder(self, name: str) -> Path:
        return self._run / name

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def size_file(self, pool: str) -> Path:
        return self._pools / pool

    def size(self, pool: Pool) -> int:
        """How many of the pool are wanted now; what is no number counts as no word."""
        try:
            return int(self.size_file(pool.name).read_text())
        except (FileNotFoundError, ValueError):
            return pool.least

    def sizes(self) -> dict[str, str]:
        """The pools' sizes as they are written, to notice a change."""
        found = {}
        for path in _children(self._pools):
            with suppress(OSError):  # it may be half-made, and gone by now
                found[path.name] = path.read_text()
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folders and holds the lock under which `desired` changes."""
        descriptor = self._acquire()
        try:
            self._make_folders()
            yield
        finally:
            os.close(descriptor)

    def records(self) -> list[Record]:
        """All records in the order of first creation."""
        found = [self.get(name) for name in {*_names(self.desired)}]
        return sorted((r for r in found if r is not None), key=lambda record: record.sequence)

    def get(self, name: str) -> Record | None:
        for removed, suffix in ((False, "json"), (True, "removed")):
            content = _read(self.desired / f"{name}.{suffix}")
            if content is not None:
                return Record(**{**content, "removed": removed})
        return None

    def put(self, record: Record) -> None:
        """Call it with the lock held."""
        write_atomically(self.desired / f"{record.name}.json", json.dumps(asdict(record)))
        (self.desired / f"{record.name}.removed").unlink(missing_ok=True)

    def mark_removed(self, name: str) -> None:
        """Call it with the lock held. Works on a full disk, where destroying may be the cure."""
        path = self.desired / f"{name}.json"
        try:
            path.replace(path.with_suffix(".removed"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unwritable(path, error) from error

    def remove(self, name: str) -> None:
        """Call it with the lock held."""
        for suffix in ("json", "removed"):
            (self.desired / f"{name}.{suffix}").unlink(missing_ok=True)

    def next_sequence(self) -> int:
        return max((record.sequence for record in self.records()), default=0) + 1

    def status(self, name: str) -> Status | None:
        content = _read(self._status / f"{name}.json")
        return None if content is None else Status(**content)

    def put_status(self, name: str, status: Status) -> None:
        write_atomically(self._status / f"{name}.json", json.dumps(asdict(status)))

    def traces(self) -> set[str]:
        """Names of which a folder, a status or a log exists."""
        logs = {path.name.partition(".log")[0] for path in _children(self._logs)}
        return {p.name for p in _children(self._run)} | set(_names(self._status)) | logs

    def forget(self, name: str) -> None:
        """Removes all that a process left; its record is not touched."""
        if self.folder(name).exists():
            shutil.rmtree(self.folder(name))
        for path in _children(self._logs):
            head, _, tail = path.name.rpartition(".log")
            if head == name and (not tail or tail.lstrip(".").isdigit()):
                path.unlink(missing_ok=True)
        (self._status / f"{name}.json").unlink(missing_ok=True)

    def clean(self) -> None:
        """Removes what writers that were killed left half-made. Call it with the lock held."""
        for folder in (self.desired, self._status):
            for path in _children(folder):
                if path.suffix == ".part":
                    path.unlink(missing_ok=True)

    def dissolve(self) -> bool:
        """Removes an empty stack's folder; call it with the lock held. False: still in use."""
        self.clean()
        if self.records() or self.traces():
            return False
        shutil.rmtree(self._pools, ignore_errors=True)
        for folder in (self.desired, self._status, self._run, self._logs):
            with suppress(FileNotFoundError):
                folder.rmdir()
        for path in (*self.root.glob("supervisor.log*"), self.supervisor_lock, self._lock):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else's files are not ours to remove
            self.root.rmdir()
        return True

    def _acquire(self) -> int:
        try:
            while (descriptor := self._try_to_acquire()) is None:
                pass
        except OSError as error:
            raise _unwritable(self.root, error) from error
        return descriptor

    def _make_folders(self) -> None:
        try:
            for folder in (self.desired, self._status, self._run, self._logs, self._pools):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.root, error) from error

    def _try_to_acquire(self) -> int | None:
        """None when the folder was dissolved under our feet."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, FileExistsError):
            if os.path.lexists(self.root) and not self.root.is_dir():
                raise
            return None
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if self._lock.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)
        return None


def write_atomically(path: Path, text: str) -> None:
    """Writes the file with mode 0600 in one step: it has the old content or the new, never half."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.touch(mode=0o600, exist_ok=False)
        with part.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> LocalError:
    return LocalError(
        f"cannot write {path}: {error.strerror}. Free space or make the folder writable, and "
        "run the same command again; nothing is left half-made."
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LocalError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise LocalError(f"cannot read {path}: it holds no record")
    return content


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _names(folder: Path) -> list[str]:
    return [path.stem for path in _children(folder) if path.suffix in (".json", ".removed")]
