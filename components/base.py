"""What all components share: one factory that picks the backend for the stack's target."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Generic, TypeVar

import pulumi

from components.target import Target

Args = TypeVar("Args")
Outputs = TypeVar("Outputs")


class UnsupportedTargetError(Exception):
    """A component has no backend for the stack's target."""


class Component(pulumi.ComponentResource, Generic[Args, Outputs]):
    """A part of the platform with typed arguments, typed outputs and one backend per target.

    A backend is a function `(name, args, target, opts) -> Outputs` that declares resources with the
    given options, which hold the parent and nothing else. What a target cannot do, its backend
    refuses by raising; it never leaves it out silently.
    """

    token: ClassVar[str]
    backends: ClassVar[Mapping[str, Callable[..., Any]]]
    outputs: Outputs

    def __init__(
        self,
        name: str,
        args: Args,
        target: Target,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(self.token, name, None, opts)
        backend = self.backends.get(target.name)
        if backend is None:
            raise UnsupportedTargetError(
                f"{type(self).__name__} cannot run on target {target.name}; "
                f"it can on {', '.join(sorted(self.backends))}"
            )
        self.outputs = backend(name, args, target, pulumi.ResourceOptions(parent=self))
        self.register_outputs(
            {field.name: getattr(self.outputs, field.name) for field in fields(self.outputs)}  # type: ignore[arg-type]
        )
