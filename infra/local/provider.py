"""The `local` provider: a thin adapter of the operations to Pulumi's provider protocol."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckResponse,
    CreateResponse,
    DiffResponse,
    PropertyDiff,
    PropertyDiffKind,
    ReadResponse,
    UpdateResponse,
)

from infra.local import operations
from infra.local.errors import LocalError
from infra.local.operations import CALM, SECRET_OUTPUTS, Change
from infra.local.spec import changed, has_unknown
from infra.local.values import Properties, plain, secret_texts, wrap

T = TypeVar("T")

Report = Callable[[str, str], None]
"""Shows a message (second) at the resource with the URN (first)."""

_PARALLEL = 64  # creates that wait for readiness must not block others


class LocalProvider(protocol.Provider):
    def __init__(self, report: Report = lambda _urn, _message: None) -> None:
        self._report = report
        self._cancelled = threading.Event()
        self._threads = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="operation")

    async def configure(self, _: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        return protocol.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: protocol.CheckRequest) -> CheckResponse:
        found = operations.check(own_type(request), request.name, plain(request.new_inputs))
        return CheckResponse(
            inputs=request.new_inputs,
            failures=[CheckFailure(failure.property, failure.reason) for failure in found],
        )

    async def diff(self, request: protocol.DiffRequest) -> DiffResponse:
        old, new = plain(request.old_state), plain(request.new_inputs)
        if old.get("root") != new["root"]:
            kind = PropertyDiffKind.UPDATE_REPLACE
            return DiffResponse(
                changes=True,
                replaces=["root"],
                diffs=["root"],
                delete_before_replace=True,  # both would want the same ports
                detailed_diff={"root": PropertyDiff(kind, input_diff=True)},
            )
        difference = await self._call(operations.diff, own_type(request), request.name, new)
        keys = set(difference.keys)
        if not has_unknown(new):
            # What another engine deployed meanwhile is still news to this engine's state.
            keys |= set(changed(own_type(request), _inputs_of(old, new), new))
        if difference.change is Change.CREATE or old.get("state", "ready") not in CALM:
            keys.add("state")
        return DiffResponse(
            changes=bool(keys),
            diffs=sorted(keys),
            detailed_diff={
                key: PropertyDiff(PropertyDiffKind.UPDATE, input_diff=key in new) for key in keys
            },
        )

    async def create(self, request: protocol.CreateRequest) -> CreateResponse:
        properties = await self._ensure(request, request.properties)
        return CreateResponse(request.name, properties)

    async def update(self, request: protocol.UpdateRequest) -> UpdateResponse:
        return UpdateResponse(await self._ensure(request, request.news))

    async def read(self, request: protocol.ReadRequest) -> ReadResponse:
        root = request.properties.get("root") or request.inputs.get("root")
        if root is None or not isinstance(root.value, str):
            raise LocalError("importing is not supported: run `up`, which adopts what is there")
        found = await self._call(operations.read, own_type(request), request.name, root.value)
        if found is None:
            return ReadResponse(resource_id="")
        known = plain(request.properties)
        if _only_scaled(known, found):
            return ReadResponse(request.resource_id, request.properties, request.inputs)
        known_pid = known.get("pid", found.get("pid"))
        if found.get("state") == "ready" and found.get("pid") != known_pid:
            found["state"] = "restarted"  # it died and is back: a drift that a refresh should show
        live = wrap(found, SECRET_OUTPUTS.get(own_type(request), ()))
        return ReadResponse(request.resource_id, {**request.properties, **live}, request.inputs)

    async def delete(self, request: protocol.DeleteRequest) -> None:
        root = plain(request.properties)["root"]
        await self._call(operations.delete, own_type(request), request.name, root)

    async def cancel(self) -> None:
        self._cancelled.set()

    async def _ensure(
        self, request: protocol.CreateRequest | protocol.UpdateRequest, inputs: Properties
    ) -> Properties:
        outputs = await self._call(
            operations.ensure,
            own_type(request),
            request.name,
            plain(inputs),
            preview=request.preview,
            redact=secret_texts(inputs),
            progress=partial(self._report, request.urn),
            cancelled=self._cancelled,
        )
        return {**inputs, **wrap(outputs, SECRET_OUTPUTS.get(own_type(request), ()))}

    async def _call(self, operation: Callable[..., T], *args: Any, **options: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(operation, *args, **options))


class _Request(Protocol):
    @property
    def type(self) -> str: ...


def own_type(request: _Request) -> str:
    """The resource's own type; in a URN it follows those of its parents (`A$B$own`)."""
    return request.type.rsplit("$", 1)[-1]


def _only_scaled(known: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether no more has happened than that a pool grew or shrank, which is no drift."""
    return (
        known.get("pool") is not None
        and {known.get("state"), found["state"]} <= CALM
        and known.get("restarts") == found["restarts"]
    )


def _inputs_of(state: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The part of a state that was input: a state holds outputs too."""
    outputs = {"pid", "state", "startedAt", "finishedAt", "restarts", "folder", "logPath", "value"}
    return {key: value for key, value in state.items() if key not in outputs or key in new}
