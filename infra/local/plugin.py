"""Serves the provider to the Pulumi engine over gRPC.

The SDK's own server appends a stack trace to every error. Here an error of ours arrives as its
message alone, and a resource that exists but is not ready is recorded as such, so that the next
`up` repairs it and `destroy` removes it.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import any_pb2
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from infra.local.errors import LocalError, NotReadyError
from infra.local.provider import LocalProvider

VERSION = "0.1.0"

Handler = Callable[[Any, Any], Awaitable[Any]]


class Servicer(ProviderServicer):
    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        name = request.urn.rsplit("::", 1)[-1]
        return await _clearly(super().Create, request, context, name, request.properties)

    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _clearly(super().Update, request, context, request.id, request.news)

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _clearly(super().Delete, request, context, request.id, None)

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _clearly(super().Diff, request, context, request.id, None)

    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _clearly(super().Read, request, context, request.id, None)


async def _clearly(
    handler: Handler,
    request: Any,
    context: Any,
    identifier: str,
    inputs: Any,
) -> Any:
    try:
        return await handler(request, context)
    except Exception as wrapped:
        error = wrapped if isinstance(wrapped, LocalError) else wrapped.__context__
        if not isinstance(error, LocalError):
            raise
    metadata: tuple[tuple[str, bytes], ...] = ()
    if isinstance(error, NotReadyError) and inputs is not None:
        metadata = (("grpc-status-details-bin", _half_made(identifier, inputs, str(error))),)
    return await context.abort(grpc.StatusCode.UNKNOWN, str(error), trailing_metadata=metadata)


def _half_made(identifier: str, inputs: Any, reason: str) -> bytes:
    """Tells the engine that the resource exists, with what it was asked to be."""
    state = PropertyValue.unmarshal_map(inputs) | {"state": PropertyValue("failed")}
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=identifier,
            properties=PropertyValue.marshal_map(state),
            inputs=inputs,
            reasons=[reason],
        )
    )
    code = grpc.StatusCode.UNKNOWN.value[0]
    status = status_pb2.Status(code=code, message=reason, details=[detail])
    return bytes(status.SerializeToString())


def serve(engine: str) -> None:
    """Serves until the engine, at this address, ends the process."""
    stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine))

    def report(urn: str, message: str) -> None:
        stub.Log(
            engine_pb2.LogRequest(
                severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True
            )
        )

    async def run() -> None:
        server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
        servicer = Servicer([], VERSION, LocalProvider(report), engine)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        sys.stdout.write(f"{port}\n")  # this is how the engine learns it
        sys.stdout.flush()
        await server.wait_for_termination()

    asyncio.run(run())
