"""What all components share: one factory that picks the backend for the stack's target."""

from dataclasses import fields
from importlib import import_module
from typing import ClassVar, Generic, TypeVar

import pulumi

from components.target import Target

Args = TypeVar("Args")
Outputs = TypeVar("Outputs")


class UnsupportedTargetError(Exception):
    """A component has no backend for the stack's target."""


class Component(pulumi.ComponentResource, Generic[Args, Outputs]):
    """A part of the platform with typed arguments, typed outputs and one backend per target.

    A backend is the module of the component's package that is named as the target. Its function
    `build(name, args, target, opts) -> Outputs` declares resources with the given options, which
    hold the parent and nothing else. What a target cannot do, its backend refuses by raising; it
    never leaves it out silently.
    """

    token: ClassVar[str]
    targets: ClassVar[tuple[str, ...]]
    outputs: Outputs

    def __init__(
        self,
        name: str,
        args: Args,
        target: Target,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if target.name not in self.targets:
            raise UnsupportedTargetError(
                f"{type(self).__name__} cannot run on target {target.name}; "
                f"it can on {', '.join(sorted(self.targets))}"
            )
        providers = pulumi.ResourceOptions(providers=list(target.providers))
        super().__init__(
            self.token, name, None, pulumi.ResourceOptions.merge(providers, opts or None)
        )
        # Loaded when it is needed: a local stack has no use for the libraries of a cloud.
        backend = import_module(f"{type(self).__module__}.{target.name}")
        self.outputs = backend.build(name, args, target, pulumi.ResourceOptions(parent=self))
        self.register_outputs(
            {field.name: getattr(self.outputs, field.name) for field in fields(self.outputs)}  # type: ignore[arg-type]
        )
