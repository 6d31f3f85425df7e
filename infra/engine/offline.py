"""Runs the program of an AWS stack without credentials, network or CLI, and keeps what it declares.

Providers are answered for by `infra.engine.invention`, so that everything that the program makes
from their outputs is known: documents of JSON can be read and policed, and two runs compared.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime import proto

from infra.config import PROJECT
from infra.engine import program, wire
from infra.engine.comparison import HIDDEN, REFERENCE, Declared, Snapshot
from infra.engine.invention import CONFIDENTIAL, MARK, Invention, Place, answer
from infra.engine.program import Monitor, Registration
from infra.policy.graph import Graph, Resource

STACK = "pulumi:pulumi:Stack"
_LONG = 200  # characters of a text that a snapshot keeps
_INDEX = re.compile(r"\[(\d+)\]")


class UnansweredError(NotImplementedError):
    """The program asks a provider for something that cannot be made up."""


@dataclass(frozen=True)
class Recording:
    """What a program declared. `graph` holds its resources with everything that is made up in
    them; components and the stack itself are in it with their outputs.

    `written` maps each made-up text to what it stands for, such as `${postgres.endpoint}`.
    `ignored` are the inputs whose changes a resource does not follow, by URN of those that a
    provider manages. `secrets` are texts that may stand nowhere in plain.
    """

    graph: Graph
    outputs: wire.Properties
    written: Mapping[str, str]
    ignored: Mapping[str, tuple[str, ...]]
    secrets: frozenset[str]

    def snapshot(self) -> Snapshot:
        """What is declared, with nothing of a secret and without what was made up."""
        writing = _Writing(self.written)
        return Snapshot(
            self.graph.stack,
            {
                one.urn.split("::", 2)[-1]: Declared(
                    one.type,
                    one.name,
                    one.protect,
                    writing.referring(_redacted(one.inputs, one.secrets)),
                    self.ignored.get(one.urn, ()),
                )
                for one in self.graph.resources
                # Components have no inputs, and outputs of the stack are read by people.
                if one.urn in self.ignored
            },
        )


class _Writing:
    """Turns made-up texts into what they stand for, and long ones into their digests."""

    def __init__(self, written: Mapping[str, str]) -> None:
        self._written = written
        self._by_mark: dict[str, list[str]] = {}
        for text in sorted(written, key=len, reverse=True):
            for mark in set(MARK.findall(text)) or {""}:
                self._by_mark.setdefault(mark, []).append(text)

    def referring(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self.referring(key): self.referring(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.referring(inner) for inner in value]
        if isinstance(value, str):
            for mark in {"", *MARK.findall(value)}:
                for text in self._by_mark.get(mark, ()):
                    value = value.replace(text, self._written[text])
            if len(value) > _LONG:
                digest = hashlib.sha256(value.encode()).hexdigest()[:16]
                value = " ".join([f"sha256:{digest}", *sorted(set(REFERENCE.findall(value)))])
        return value


def _redacted(value: Any, secrets: Collection[str], path: str = "") -> Any:
    if path in secrets:
        return HIDDEN
    if isinstance(value, Mapping):
        return {k: _redacted(v, secrets, f"{path}.{k}" if path else k) for k, v in value.items()}
    if isinstance(value, list):
        return [_redacted(v, secrets, f"{path}.{i}") for i, v in enumerate(value)]
    return value


class OfflineMonitor(Monitor):
    """Records everything and deploys nothing.

    Functions of providers get an answer in the form that their SDK promises, with what they were
    asked for repeated in it. A policy document is refused: the program can write it as JSON.
    """

    def __init__(self, region: str, account: str) -> None:
        super().__init__()
        self.region = region
        self.account = account
        self._inventions: dict[str, Invention] = {}
        self._answered: list[Invention] = []
        self._components: dict[str, wire.Properties] = {}

    def deploy(self, registration: Registration) -> Mapping[str, Any]:
        invention = self._invention(
            registration.urn,
            registration.type,
            registration.name,
            registration.inputs.values,
            registration.additional_secrets,
        )
        return invention.outputs()

    def identity(self, registration: Registration) -> str:
        return self._inventions[registration.urn].identity

    def secret_outputs(self, registration: Registration) -> Collection[str]:
        return {*registration.additional_secrets, *registration.inputs.secrets}

    def ReadResource(  # noqa: N802 - the protocol's name
        self, request: Any
    ) -> proto.resource_pb2.ReadResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        given = wire.unpack(request.properties).values
        secret = tuple(request.additionalSecretOutputs)
        invention = self._invention(urn, request.type, request.name, given, secret)
        return proto.resource_pb2.ReadResourceResponse(
            urn=urn, properties=wire.pack(invention.outputs(), secret)
        )

    def Invoke(self, request: Any) -> proto.resource_pb2.ResourceInvokeResponse:  # noqa: N802
        asked = wire.unpack(request.args).values
        if request.tok.endswith(":getPolicyDocument"):
            raise UnansweredError(f"{request.tok}: write the document as JSON")
        try:
            promised = answer(request.tok)
        except LookupError:
            raise UnansweredError(f"nothing is known of the function {request.tok}") from None
        name = request.tok.rsplit(":", 1)[-1]
        path = f"{request.tok}({sorted(asked.items())})"
        invention = Invention(self._place(request.tok, name, path, asked), asked)
        made = {
            key: asked[key] if key in asked else invention.value(key, hint)
            for key, hint in promised.items()
        }
        with self._lock:
            self._answered.append(invention)
        response = proto.resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(wire.pack(made))
        return response

    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        with self._lock:
            self._components[request.urn] = wire.unpack(request.outputs)
        return super().RegisterResourceOutputs(request)

    def recording(self, stack_name: str, secrets: Collection[str] = ()) -> Recording:
        """What was declared; `secrets` are more texts that may stand nowhere in plain."""
        written: dict[str, str] = {}
        for invention in (*self._inventions.values(), *self._answered):
            for key, text in invention.texts.items():
                written.setdefault(text, f"${{{invention.place.name}.{key}}}")
        exported = Registration(
            urn=f"urn:pulumi:{stack_name}::{PROJECT}::{STACK}::{PROJECT}-{stack_name}",
            type=STACK,
            name=stack_name,
            parent="",
            custom=False,
            protect=False,
            dependencies=(),
            inputs=self.outputs,
            additional_secrets=(),
        )
        resources = (
            self._resource(registration)
            for registration in (*self.registrations.values(), exported)
        )
        return Recording(
            # Registrations come as threads have it.
            Graph(stack_name, tuple(sorted(resources, key=lambda one: one.urn))),
            self.outputs,
            written,
            {r.urn: r.ignored for r in self.registrations.values() if r.custom},
            frozenset({CONFIDENTIAL, *secrets}),
        )

    def _resource(self, registration: Registration) -> Resource:
        properties = self._components.get(registration.urn, registration.inputs)
        return Resource(
            urn=registration.urn,
            type=registration.type,
            name=registration.name,
            inputs=properties.values,
            parent=registration.parent,
            protect=registration.protect,
            secrets=frozenset(_INDEX.sub(r".\1", path) for path in properties.secrets),
        )

    def _place(self, type_: str, name: str, path: str, inputs: Mapping[str, Any]) -> Place:
        region = inputs.get("region")
        return Place(
            type_, name, path, region if isinstance(region, str) else self.region, self.account
        )

    def _invention(
        self, urn: str, type_: str, name: str, inputs: Mapping[str, Any], secret: Sequence[str]
    ) -> Invention:
        # The stack's name is no part of what it declares.
        place = self._place(type_, name, urn.split("::", 1)[1], inputs)
        with self._lock:
            return self._inventions.setdefault(urn, Invention(place, inputs, secret))


def record(
    stack_name: str,
    config: Mapping[str, str],
    secrets: Collection[str] = (),
    run: Callable[[], None] = program.whole,
) -> Recording:
    """Runs a program under a stack's name and configuration (keys with namespace) to its end.

    Raises what the program raises, `pulumi.RunError` for a refusal that is worded for people.
    """
    monitor = OfflineMonitor(
        config.get(f"{PROJECT}:region", "us-east-1"),
        config.get(f"{PROJECT}:accountId", "123456789012"),
    )
    # No dry run: there what is not known would stay unknown, and be looked at by no policy.
    program.run(monitor, stack_name, config, preview=False, program=run)
    return monitor.recording(stack_name, secrets)
