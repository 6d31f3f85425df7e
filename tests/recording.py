"""A monitor that deploys nothing and records everything, for tests of the program."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.engine import program
from infra.engine.program import Monitor, Registration

SENTINEL = "s3ntinel"


class RecordingMonitor(Monitor):
    """Answers as the local provider would; every generated secret contains `SENTINEL`."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)

    def deploy(self, registration: Registration) -> Mapping[str, Any]:
        if registration.type == "local:index:Secret":
            return {"value": f"{SENTINEL}-{registration.name}"}
        return {"pid": next(self._numbers), "state": "ready", "startedAt": "2026-01-01T00:00:00Z"}

    def named(self, name: str) -> Registration:
        """The one custom resource of this name."""
        (found,) = [r for r in self.registrations.values() if r.custom and r.name == name]
        return found


def record(tmp_path: Path, stack: str = "test", **config: str) -> RecordingMonitor:
    """Runs the program with this configuration (keys without namespace)."""
    monitor = RecordingMonitor()
    values = {"dataDir": str(tmp_path / "stack"), "portBase": "23900"} | config
    program.run(
        monitor, stack, {f"etcetera:{key}": value for key, value in values.items()}, preview=False
    )
    return monitor


def plain_texts(registration: Registration) -> list[str]:
    """Every text of the inputs that is not inside a secret, keys included."""
    found: list[str] = []

    def walk(value: object, path: str) -> None:
        if path in registration.inputs.secrets:
            return
        if isinstance(value, Mapping):
            for key, item in value.items():
                found.append(str(key))
                walk(item, f"{path}.{key}" if path else str(key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, f"{path}[{index}]")
        else:
            found.append(str(value))

    walk(registration.inputs.values, "")
    return found
