"""The resources of a stack as policies see them, whoever recorded them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

UNKNOWN = "(not known before it is deployed)"
"""Stands for a value that only the provider can tell; rules presume that it is right."""


@dataclass(frozen=True)
class Resource:
    """One resource. `inputs` have the names of the wire (camelCase).

    `secrets` are the paths of inputs that are marked secret, as `containerDefinitions.0.value`.
    """

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    secrets: frozenset[str] = frozenset()

    def get(self, path: str, default: Any = None) -> Any:
        """The input at a path of names and indexes, such as `metadata.name`."""
        found: Any = self.inputs
        for step in path.split("."):
            if isinstance(found, Mapping) and step in found:
                found = found[step]
            elif isinstance(found, Sequence) and not isinstance(found, str) and step.isdecimal():
                if int(step) >= len(found):
                    return default
                found = found[int(step)]
            else:
                return default
        return found


@dataclass(frozen=True)
class Graph:
    """All resources of a stack, in the order of registration."""

    stack: str
    resources: tuple[Resource, ...]

    def of(self, *types: str) -> Iterator[Resource]:
        """Those of the given types; a type that ends with `*` stands for all that begin so."""
        for resource in self.resources:
            if any(_matches(resource.type, wanted) for wanted in types):
                yield resource

    @property
    def phase(self) -> str:
        """Of the roadmap, as the resources are tagged: such as phase1."""
        return next((str(tag) for one in self.resources if (tag := one.get("tags.phase"))), "")


def _matches(type_: str, wanted: str) -> bool:
    return type_.startswith(wanted[:-1]) if wanted.endswith("*") else type_ == wanted


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text within a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}.{index}" if path else str(index))
