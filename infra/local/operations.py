"""What can be done with the local target's resources, in plain Python values.

Both engines go through here. Every operation is idempotent and looks at what is there rather than
at what was done before: an operation that was interrupted is simply repeated. Inputs and outputs
have the names of the wire (camelCase); a value not known yet is `UNKNOWN`.
"""

import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast

from infra.local import logs, procfs
from infra.local.errors import LocalError, NotReadyError
from infra.local.order import older
from infra.local.ports import refuse_held
from infra.local.spec import (
    NAME,
    UNKNOWN,
    AnySpec,
    ProcessSpec,
    SecretSpec,
    TaskSpec,
    changed,
    failures,
    has_unknown,
    parse,
)
from infra.local.store import Record, Status, Store
from infra.local.supervisor import Farewell, summon, watched

__all__ = [
    "CALM",
    "SECRET_OUTPUTS",
    "SETTLED",
    "UNKNOWN",
    "Change",
    "Difference",
    "Entry",
    "Failure",
    "check",
    "delete",
    "diff",
    "ensure",
    "entries",
    "read",
]

Progress = Callable[[str], None]

SECRET_OUTPUTS: Final[Mapping[str, frozenset[str]]] = {"local:index:Secret": frozenset({"value"})}
"""Outputs that an engine has to keep secret, by resource type."""


SETTLED: Final = frozenset({"ready", "succeeded", "parked"})
"""States in which a resource is as it was asked to be."""

CALM: Final = SETTLED | {"scaling"}
"""States that need no repair: on its way after its pool was scaled, a process gets there itself."""

_MOVING = frozenset({"initializing", "starting", "stopping", "stopped"})


class Change(Enum):
    NONE = "none"
    CREATE = "create"
    UPDATE = "update"


@dataclass(frozen=True)
class Failure:
    """A refused input: the property's path and why."""

    property: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """What `ensure` would do, and the inputs or outputs that make it necessary."""

    change: Change
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A resource that exists; `sequence` grows in the order of first creation.

    `needs` are the names of others that it may depend on.
    """

    type: str
    name: str
    sequence: int
    needs: frozenset[str]


def check(type_: str, name: str, inputs: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with the inputs; touches nothing. Unknown values are not judged."""
    found = [Failure(path, reason) for path, reason in failures(type_, inputs)]
    if not NAME.fullmatch(name):
        reason = f"the name {name!r} must consist of letters, digits, '.', '_' and '-'"
        found.append(Failure("", reason))
    return found


def ensure(
    type_: str,
    name: str,
    inputs: Mapping[str, Any],
    *,
    preview: bool = False,
    redact: Collection[str] = (),
    progress: Progress | None = None,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Makes the resource be as asked, waits until it is ready, and returns its outputs.

    What already runs with the same inputs is left alone. With `preview` nothing is touched and
    what cannot be told yet is `UNKNOWN`. Blocks for up to `readyTimeoutSeconds` (a task:
    `timeoutSeconds`); several threads may call it for different names. `redact` are texts that
    must not show up in errors; those made by `Secret` never do. Inputs are not part of what is
    returned. Raises `LocalError`: `NotReadyError` once the resource exists, also when
    `cancelled` is set, which leaves the work to the supervisor.
    """
    if preview:
        return _foreseen(type_, name, inputs)
    if wrong := check(type_, name, inputs):
        raise LocalError("; ".join(f"{fail.property}: {fail.reason}" for fail in wrong))
    spec = parse(type_, inputs)
    store = Store(spec.root)
    try:
        with store.locked():
            record = _put(store, name, spec)
    except LocalError:
        _dissolve(store)  # a refusal leaves no trace
        raise
    if isinstance(spec, SecretSpec):
        return {"value": record.value}
    wait = _Wait(store, record, spec, progress or (lambda _: None), cancelled)
    try:
        status = wait.settle()
    except LocalError as error:
        made = [found.value for found in store.records() if found.value]
        lines = logs.tail(store.log(name), redact=[*redact, *made])
        where = f"\nThe end of {store.log(name)}:\n{lines}" if lines else ""
        raise NotReadyError(f"{name}: {error}{where}") from error
    return _outputs(store, record, status)


def read(type_: str, name: str, root: str | Path) -> dict[str, Any] | None:
    """The live outputs, or None when there is no such resource.

    A process that has died has `state` "dead" and `pid` 0; one whose supervisor has died is
    "unsupervised". One that its pool does not reach is "parked", and "scaling" on its way from or
    to there.
    """
    store = Store(root)
    record = store.get(name)
    if record is None or record.removed or record.type != type_:
        return None
    return _outputs(store, record, _live(store, record, _noted(store, record)))


def diff(type_: str, name: str, inputs: Mapping[str, Any]) -> Difference:
    """Whether `ensure` would change something, as compared with what is really there."""
    if inputs.get("root") == UNKNOWN:
        return Difference(Change.UPDATE, ("root",))
    store = Store(inputs["root"])
    record = store.get(name)
    if record is None or record.removed:
        return Difference(Change.CREATE)
    keys = {key for key, value in inputs.items() if has_unknown(value)}
    if not keys:
        keys = set(changed(type_, record.inputs, inputs))
    if not keys and record.type != SecretSpec.type and not _at_rest(store, record, CALM):
        keys = {"state"}
    return Difference(Change.UPDATE if keys else Change.NONE, tuple(sorted(keys)))


def delete(type_: str, name: str, root: str | Path) -> None:
    """Removes the resource, its processes, folder and logs; the last one removes `root` as well.

    Fine with a resource that is not there. Raises `LocalError`.
    """
    store = Store(root)
    if not store.exists():
        return
    with Farewell(store) as farewell:
        with store.locked():
            record = store.get(name)
            if record is not None and record.type == type_:
                if record.type == SecretSpec.type:
                    store.remove(name)
                else:
                    store.mark_removed(name)
        while (record := store.get(name)) is not None and record.removed:
            summon(store)
            farewell.notice()
            time.sleep(_POLL_SECONDS)
        _dissolve(store)
        if not store.exists():
            farewell.wait()


def entries(root: str | Path) -> list[Entry]:
    """The resources under `root`, those half removed included, in the order of first creation."""
    records = Store(root).records()
    needs = older(records)
    return [Entry(one.type, one.name, one.sequence, needs[one.name]) for one in records]


_POLL_SECONDS = 0.05
_QUIET_SECONDS = 3
_CRASHES = 5
"""A process that ends so often while we wait for it will not become ready."""


class _Wait:
    """Waits until the supervisor has brought about what a record asks for."""

    def __init__(
        self,
        store: Store,
        record: Record,
        spec: ProcessSpec | TaskSpec,
        progress: Progress,
        cancelled: threading.Event | None,
    ) -> None:
        self._store = store
        self._record = record
        self._spec = spec
        self._progress = progress
        self._cancelled = cancelled or threading.Event()

    def settle(self) -> Status:
        """The status that ended the wait. Raises `LocalError` when it failed or took too long."""
        began, crashes_before, told = time.monotonic(), self._crashes(), ""
        while (rest := _at_rest(self._store, self._record)) is None:
            status, waited = self._status(), time.monotonic() - began
            if status and status.state == "failed":
                raise LocalError(status.last_error)
            if self._crashes() - crashes_before >= _CRASHES and status:
                raise LocalError(f"keeps ending after its start: {status.last_error}")
            if waited > self._patience():
                why = status.last_error if status else "the supervisor has not seen it"
                raise LocalError(f"is not ready after {self._patience():g} s: {why}")
            if status and (news := self._news(status, waited)) != told:
                told = news
                self._progress(news)
            summon(self._store)
            if self._cancelled.wait(_POLL_SECONDS):
                raise LocalError("cancelled; the supervisor goes on with it")
        if told:
            self._progress("done")
        return rest

    def _news(self, status: Status, waited: float) -> str:
        """The reason of a delay is worth a word only when it lasts."""
        lasting = status.last_error and waited > _QUIET_SECONDS
        return f"{status.state}: {status.last_error}" if lasting else status.state

    def _status(self) -> Status | None:
        """The status, unless it is still about what was wanted before."""
        status = self._store.status(self._record.name)
        return status if status and status.attempt == self._record.attempt else None

    def _crashes(self) -> int:
        status = self._store.status(self._record.name)
        return status.restarts if status else 0

    def _patience(self) -> float:
        if isinstance(self._spec, TaskSpec):
            return self._spec.timeout_seconds + 10  # its own timeout speaks first
        return self._spec.ready_timeout_seconds + self._spec.stop.timeout_seconds


def _put(store: Store, name: str, spec: AnySpec) -> Record:
    """Records what is wanted, unless that is already so. Needs the store's lock."""
    old = store.get(name)
    if old is not None and old.type != spec.type and not old.removed:
        raise LocalError(f"{name} exists in {store.root} as {old.type}: choose another name")
    if old is not None and not old.removed and old.digest == spec.digest() and _at_work(store, old):
        return old
    if isinstance(spec, ProcessSpec):
        _refuse_ports(store, name, spec)
    value = None
    if isinstance(spec, SecretSpec):
        kept = old.value if old is not None and len(old.value or "") == spec.length else None
        value = kept or secrets.token_urlsafe(spec.length)[: spec.length]
    record = Record(
        type=spec.type,
        name=name,
        inputs=spec.model_dump(by_alias=True),
        digest=spec.digest(),
        sequence=old.sequence if old else store.next_sequence(),
        attempt=old.attempt + 1 if old else 1,
        value=value,
        after=old.after if old else [one.name for one in store.records() if _usable(store, one)],
    )
    store.put(record)
    return record


def _refuse_ports(store: Store, name: str, spec: ProcessSpec) -> None:
    """Early, so that a held port is told before anything changes; ours do not count."""
    if procfs.members(store.folder(name)):
        return
    try:
        refuse_held(spec.ports, spec.port_hint)
    except LocalError as error:
        raise LocalError(f"{name}: {error}") from None


def _at_work(store: Store, record: Record) -> bool:
    """Whether the supervisor needs no new attempt: it is done, or it is about to be."""
    status = store.status(record.name)
    if status is None or status.attempt != record.attempt:
        return True  # a secret always; others before the supervisor saw them
    return status.state not in ("failed", "backoff")


def _at_rest(store: Store, record: Record, states: Collection[str] = SETTLED) -> Status | None:
    """The status when what the record asks for is there, as seen in one look: a supervisor that
    dies a moment later makes another status, which the next operation finds."""
    noted = _noted(store, record)
    if (noted.digest, noted.attempt) != (record.digest, record.attempt):
        return None
    status = _live(store, record, noted)
    return status if status.state in states else None


def _usable(store: Store, record: Record) -> bool:
    """Whether others may have been asked for because this one is there."""
    return record.type == SecretSpec.type or _at_rest(store, record) is not None


def _noted(store: Store, record: Record) -> Status:
    """The status as its supervisor wrote it."""
    return store.status(record.name) or Status(state="missing")


def _live(store: Store, record: Record, status: Status) -> Status:
    """The status as of now: it may have been written by a supervisor that is no more."""
    if record.type != ProcessSpec.type:
        return status
    gone = status.pid and not procfs.lives(status.pid, status.birth)
    if _is_scaled(record, status) and not (gone and status.state == "starting") and watched(store):
        return dataclasses.replace(status, state="scaling")
    if gone:
        return dataclasses.replace(status, state="dead", pid=0)
    if (status.pid or status.state == "parked") and not watched(store):
        return dataclasses.replace(status, state="unsupervised")
    return status


def _is_scaled(record: Record, status: Status) -> bool:
    """Whether its pool may be what sets the process in motion."""
    if status.state not in _MOVING:
        return False
    pool = cast(ProcessSpec, record.spec()).pool
    return pool is not None and pool.ordinal > pool.least


def _outputs(store: Store, record: Record, status: Status) -> dict[str, Any]:
    if record.type == SecretSpec.type:
        return {"value": record.value}
    places = {
        "folder": str(store.folder(record.name)),
        "logPath": str(store.log(record.name)),
        "state": status.state,
    }
    if record.type == TaskSpec.type:
        return {**places, "finishedAt": status.finished_at}
    return {
        **places,
        "pid": status.pid,
        "startedAt": status.started_at,
        "restarts": status.restarts,
    }


def _foreseen(type_: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs as far as they are known before anything is done."""
    root = inputs.get("root", UNKNOWN)
    if root != UNKNOWN and diff(type_, name, inputs).change is Change.NONE:
        return cast(dict[str, Any], read(type_, name, root))
    if type_ == SecretSpec.type:
        return {"value": UNKNOWN}
    store = Store(root)
    known = root != UNKNOWN
    places = {
        "folder": str(store.folder(name)) if known else UNKNOWN,
        "logPath": str(store.log(name)) if known else UNKNOWN,
        "state": _foreseen_state(type_, inputs),
    }
    if type_ == TaskSpec.type:
        return {**places, "finishedAt": UNKNOWN}
    return {**places, "pid": UNKNOWN, "startedAt": UNKNOWN, "restarts": UNKNOWN}


def _foreseen_state(type_: str, inputs: Mapping[str, Any]) -> str:
    if type_ == TaskSpec.type:
        return "succeeded"
    return UNKNOWN if inputs.get("pool") else "ready"


def _dissolve(store: Store) -> None:
    """Removes the folder of a stack in which nothing is left, once its supervisor has let it go."""
    while store.exists():
        if store.records():
            return
        if not watched(store):
            with store.locked():
                if not watched(store):
                    store.dissolve()
                    return
        time.sleep(_POLL_SECONDS)
