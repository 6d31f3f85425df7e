"""Runs the program on a monitor of ours in place of the Pulumi engine's."""

import asyncio
import contextvars
import logging
import runpy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import mocks, proto, settings, stack

from infra import preflight
from infra.config import PROJECT
from infra.engine import wire

PARALLEL = 64  # each thread waits for one resource; those that wait must not block others


@dataclass(frozen=True)
class Registration:
    """A resource as the program declared it. `custom` resources are the ones a provider manages.

    `ignored` are paths of inputs whose changes the program asks to leave alone.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    protect: bool
    dependencies: tuple[str, ...]
    inputs: wire.Properties
    additional_secrets: tuple[str, ...]
    ignored: tuple[str, ...] = ()


class DuplicateUrnError(Exception):
    """Two resources of the program have the same name and type under the same parent."""


class Monitor(mocks.MockMonitor, ABC):
    """Records what the program registers and answers with what `deploy` returns.

    Registrations come from several threads at a time, each as soon as its inputs are known.
    """

    def __init__(self) -> None:
        super().__init__(_NoMocks())
        self.registrations: dict[str, Registration] = {}
        self.outputs = wire.Properties({}, frozenset())
        self._lock = threading.Lock()

    @abstractmethod
    def deploy(self, registration: Registration) -> Mapping[str, Any]:
        """The outputs of a custom resource; unknown ones are `wire.UNKNOWN`."""

    def identity(self, registration: Registration) -> str:
        """The id of a custom resource."""
        return registration.name

    def secret_outputs(self, registration: Registration) -> Collection[str]:
        """Paths of outputs that are to be marked as secret."""
        return registration.additional_secrets

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes them: with the types of all ancestors, the stack left out."""
        within = "" if "::pulumi:pulumi:Stack::" in parent else parent
        chain = f"{within.split('::')[2]}${type_}" if within else type_
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{chain}::{name}"

    def RegisterResource(  # noqa: N802 - the protocol's name
        self, request: Any
    ) -> proto.resource_pb2.RegisterResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return proto.resource_pb2.RegisterResourceResponse(urn=urn)
        registration = Registration(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            custom=request.custom,
            protect=request.protect,
            dependencies=tuple(request.dependencies),
            inputs=wire.unpack(request.object),
            additional_secrets=tuple(request.additionalSecretOutputs),
            ignored=tuple(request.ignoreChanges),
        )
        with self._lock:
            if urn in self.registrations:
                raise DuplicateUrnError(f"the program declares {urn} twice")
            self.registrations[urn] = registration
        if not request.custom:
            return proto.resource_pb2.RegisterResourceResponse(urn=urn)
        outputs = self.deploy(registration)
        return proto.resource_pb2.RegisterResourceResponse(
            urn=urn,
            id=self.identity(registration),
            object=wire.pack(outputs, self.secret_outputs(registration)),
        )

    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        if "pulumi:pulumi:Stack" in request.urn:
            self.outputs = wire.unpack(request.outputs)
        return empty_pb2.Empty()


class _NoMocks(mocks.Mocks):
    """The base class wants mocks; a monitor that deploys for real has none."""

    def call(self, args: mocks.MockCallArgs) -> Never:
        raise NotImplementedError(f"the local target has no functions, such as {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> Never:
        raise NotImplementedError(f"nothing registers {args.typ} this way")


def whole() -> None:
    """The program that stacks deploy."""
    runpy.run_module("infra", run_name="__main__")


def reading() -> None:
    """The same program, when it changes nothing and only its outputs are wanted."""
    preflight.required.set(False)
    whole()


def run(
    monitor: Monitor,
    stack_name: str,
    config: Mapping[str, str],
    *,
    preview: bool,
    program: Callable[[], None] = whole,
) -> None:
    """Runs a program to its end, on threads of this process.

    Raises whatever the program or the monitor raises, `pulumi.RunError` for a refusal that is
    worded for people.
    """
    # Not the caller's context, where the SDK keeps the root stack and the settings, and not its
    # thread, which may have an event loop already.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="program") as thread:
        thread.submit(
            contextvars.Context().run, _run, monitor, stack_name, config, preview, program
        ).result()


def _run(
    monitor: Monitor,
    stack_name: str,
    config: Mapping[str, str],
    preview: bool,
    program: Callable[[], None],
) -> None:
    # asyncio complains about futures that a failed program leaves behind.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    pulumi.runtime.set_all_config(dict(config), [])
    settings.configure(
        mocks.MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features=set(
                monitor.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures  # type: ignore[no-untyped-call]
            ),
            engine=mocks.MockEngine(logging.getLogger("pulumi")),
            project=PROJECT,
            stack=stack_name,
            dry_run=preview,
            organization=None,
            callbacks=None,
            root_directory=str(Path.cwd()),
        )
    )
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(max_workers=PARALLEL) as executor:
        loop.set_default_executor(executor)
        try:
            loop.run_until_complete(stack.run_in_stack(program))
        finally:
            loop.close()
