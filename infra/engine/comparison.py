"""What would happen to the resources of a stack if it were declared in another way.

Pure functions over snapshots. What a provider would replace is known from `infra.policy.immutable`;
who refers to something replaced gets another reference, and may be replaced for it in turn.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from infra.policy.immutable import immutable
from infra.policy.rules.durability import stateful

HIDDEN = "[secret]"
REFERENCE = re.compile(r"\$\{[^.}]+\.[^}]+\}")
"""What another resource gives, in a text."""


@dataclass(frozen=True)
class Declared:
    """A resource as it is declared. In `inputs`, `${name.property}` stands for what another
    resource gives. `ignored` are paths of inputs whose changes are left alone."""

    type: str
    name: str
    protect: bool
    inputs: Mapping[str, Any]
    ignored: tuple[str, ...] = ()

    @property
    def stateful(self) -> bool:
        return stateful(self.type, self.inputs)


@dataclass(frozen=True)
class Snapshot:
    """The resources of a stack by path: their URN without the stack."""

    stack: str
    resources: Mapping[str, Declared]

    def text(self) -> str:
        """As JSON that differs only where the snapshots do."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        document = json.loads(text)
        return cls(
            document["stack"],
            {
                path: Declared(**{**one, "ignored": tuple(one["ignored"])})
                for path, one in document["resources"].items()
            },
        )


@dataclass(frozen=True)
class Change:
    """A resource whose inputs differ. `keys` are the paths of those, `forcing` those among them
    for which the provider makes a new resource."""

    path: str
    after: Declared
    keys: tuple[str, ...]
    forcing: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The way from one snapshot to another, in the order of paths."""

    added: Mapping[str, Declared]
    removed: Mapping[str, Declared]
    changed: tuple[Change, ...]

    @property
    def replaced(self) -> list[Change]:
        return [change for change in self.changed if change.forcing]

    def losses(self) -> list[str]:
        """What would be lost that cannot be made again; nothing of it may happen."""
        return [
            f"{one.name} ({one.type}) would be removed"
            for one in self.removed.values()
            if one.stateful
        ] + [
            f"{one.after.name} ({one.after.type}) would be replaced for {', '.join(one.forcing)}"
            for one in self.replaced
            if one.after.stateful
        ]


def compare(before: Snapshot, after: Snapshot) -> Comparison:
    """What `up` would do to `before` to make it `after`."""
    was, now = before.resources, after.resources
    added = {path: now[path] for path in sorted(now.keys() - was.keys())}
    removed = {path: was[path] for path in sorted(was.keys() - now.keys())}
    renewed = {one.name for one in (*added.values(), *removed.values())}
    while True:
        changes = tuple(
            change
            for path in sorted(was.keys() & now.keys())
            if (change := _change(path, was[path], now[path], renewed))
        )
        found = renewed | {change.after.name for change in changes if change.forcing}
        if found == renewed:
            return Comparison(added, removed, changes)
        renewed = found


def _change(path: str, was: Declared, now: Declared, renewed: set[str]) -> Change | None:
    keys = tuple(
        key
        for key in sorted({*_differing(was.inputs, now.inputs), *_referring(now.inputs, renewed)})
        if not any(_within(key, ignored) for ignored in now.ignored)
    )
    if not keys:
        return None
    fixed = immutable(now.type)
    forcing = tuple(
        key for key in keys if any(_within(key, one) or _within(one, key) for one in fixed)
    )
    return Change(path, now, keys, forcing)


def _differing(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """Paths at which two values differ; lists are compared one by one if they are of objects, and
    as long as each other, else as a whole."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in was.keys() | now.keys():
            inner = f"{path}.{key}" if path else key
            yield from _differing(was.get(key), now.get(key), inner)
    elif _alike(was, now):
        for index, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _differing(one, other, f"{path}.{index}")
    elif was != now:
        yield path


def _alike(was: Any, now: Any) -> bool:
    lists = isinstance(was, list) and isinstance(now, list) and len(was) == len(now)
    return lists and all(isinstance(one, Mapping) for one in (*was, *now))


def _referring(value: Any, names: set[str], path: str = "") -> Iterator[str]:
    """Paths of what refers to one of the named resources."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _referring(inner, names, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        if any(True for inner in value for _ in _referring(inner, names)):
            yield path
    elif isinstance(value, str) and any(
        one[2:].split(".")[0] in names for one in REFERENCE.findall(value)
    ):
        yield path


def _within(path: str, outer: str) -> bool:
    """Whether a path is another or leads to something in it; everything is within "" (all)."""
    return not outer or path == outer or path.startswith(f"{outer}.")
