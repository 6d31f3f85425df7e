"""What can be done with the local target's resources, in plain Python values.

Both engines go through here. Every operation is idempotent and looks at what is there rather than
at what was done before: an operation that was interrupted is simply repeated. Inputs and outputs
have the names of the wire (camelCase); a value not known yet is `UNKNOWN`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from infra.local.spec import UNKNOWN

__all__ = [
    "SECRET_OUTPUTS",
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
    """A resource that exists; `sequence` grows in the order of first creation."""

    type: str
    name: str
    sequence: int


def check(type_: str, name: str, inputs: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with the inputs; touches nothing. Unknown values are not judged."""
    raise NotImplementedError


def ensure(
    type_: str,
    name: str,
    inputs: Mapping[str, Any],
    *,
    preview: bool = False,
    redact: Collection[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Makes the resource be as asked, waits until it is ready, and returns its outputs.

    What already runs with the same inputs is left alone. With `preview` nothing is touched and
    what cannot be told yet is `UNKNOWN`. Blocks for up to `readyTimeoutSeconds`; several threads
    may call it for different names. `redact` are texts that must not show up in errors; those
    made by `Secret` never do. Inputs are not part of what is returned. Raises `LocalError`.
    """
    raise NotImplementedError


def read(type_: str, name: str, root: str | Path) -> dict[str, Any] | None:
    """The live outputs, or None when there is no such resource. A dead process has `pid` 0."""
    raise NotImplementedError


def diff(type_: str, name: str, inputs: Mapping[str, Any]) -> Difference:
    """Whether `ensure` would change something, as compared with what is really there."""
    raise NotImplementedError


def delete(type_: str, name: str, root: str | Path) -> None:
    """Removes the resource, its processes, folder and logs; the last one removes `root` as well.

    Fine with a resource that is not there. Raises `LocalError`.
    """
    raise NotImplementedError


def entries(root: str | Path) -> list[Entry]:
    """The resources under `root`, in the order of first creation."""
    raise NotImplementedError
