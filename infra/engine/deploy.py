"""The monitors behind `preview`, `up` and `stack output`, and removal of what is not declared."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.engine.program import Monitor, Registration
from infra.engine.timeline import Span, Timeline
from infra.local import operations
from infra.local.errors import LocalError
from infra.local.operations import Change, Difference, Entry
from infra.local.order import last_first


@dataclass(frozen=True)
class Step:
    """Something that is or would be done to a resource. `keys` are the inputs that changed."""

    verb: str
    type: str
    name: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """A step that ended: with `error` None it succeeded. `seconds` it took."""

    step: Step
    seconds: float
    error: str | None = None


VERBS = {Change.CREATE: "create", Change.UPDATE: "update", Change.NONE: "same"}


class InvalidInputsError(LocalError):
    """The provider refuses what the program declares."""


class PreviewMonitor(Monitor):
    """Finds out what `up` would do; changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []

    def deploy(self, registration: Registration) -> Mapping[str, Any]:
        difference = _difference(registration)
        self.steps.append(_step(registration, difference))
        return operations.ensure(
            registration.type, registration.name, registration.inputs.values, preview=True
        )


class UpMonitor(Monitor):
    """Makes the resources be as declared, and reports each step as it starts and ends."""

    def __init__(self, started: Callable[[Step], None], ended: Callable[[Done], None]) -> None:
        super().__init__()
        self._started = started
        self._ended = ended
        self._failed = threading.Event()
        self._spans: list[Span] = []
        self._began = time.monotonic()

    def timeline(self) -> Timeline:
        """Of the deployment up to now."""
        custom = {r.urn: r for r in self.registrations.values() if r.custom}
        dependencies = {
            r.name: [custom[urn].name for urn in r.dependencies if urn in custom]
            for r in custom.values()
        }
        return Timeline.of(time.monotonic() - self._began, self._spans, dependencies)

    def deploy(self, registration: Registration) -> Mapping[str, Any]:
        if self._failed.is_set():
            raise LocalError("not attempted, since something else failed")
        step = _step(registration, _difference(registration))
        begin = time.monotonic()
        self._started(step)
        try:
            outputs = operations.ensure(
                registration.type,
                registration.name,
                registration.inputs.values,
                redact=registration.inputs.secret_texts(),
            )
        except LocalError as error:
            self._failed.set()
            self._ended(Done(step, time.monotonic() - begin, str(error)))
            raise
        end = time.monotonic()
        self._spans.append(Span(step.name, step.verb, begin - self._began, end - self._began))
        self._ended(Done(step, end - begin))
        return outputs


class ReadMonitor(Monitor):
    """Gives the program what is deployed, so that its outputs can be asked for."""

    def deploy(self, registration: Registration) -> Mapping[str, Any]:
        root = registration.inputs.values["root"]
        found = operations.read(registration.type, registration.name, root)
        if found is None:
            raise LocalError(f"{registration.name} is not deployed; run up first")
        return found


def undeclared(root: Path, monitor: Monitor) -> list[Entry]:
    """What is deployed but no longer declared, the youngest first."""
    declared = {(r.type, r.name) for r in monitor.registrations.values() if r.custom}
    return [
        entry
        for entry in reversed(operations.entries(root))
        if (entry.type, entry.name) not in declared
    ]


def remove(
    root: Path,
    entries: list[Entry],
    started: Callable[[Step], None],
    ended: Callable[[Done], None],
) -> None:
    """Removes the entries, nothing before what may need it. Raises `LocalError`."""
    by_name = {entry.name: entry for entry in entries}

    def delete(name: str) -> None:
        entry = by_name[name]
        step = Step("delete", entry.type, name)
        begin = time.monotonic()
        started(step)
        try:
            operations.delete(entry.type, name, root)
        except LocalError as error:
            ended(Done(step, time.monotonic() - begin, str(error)))
            raise
        ended(Done(step, time.monotonic() - begin))

    last_first({entry.name: entry.needs for entry in entries}, delete)


def _difference(registration: Registration) -> Difference:
    values = registration.inputs.values
    failures = operations.check(registration.type, registration.name, values)
    if failures:
        raise InvalidInputsError(
            "\n".join(f"{registration.name}: {f.property}: {f.reason}" for f in failures)
        )
    return operations.diff(registration.type, registration.name, values)


def _step(registration: Registration, difference: Difference) -> Step:
    return Step(VERBS[difference.change], registration.type, registration.name, difference.keys)
