"""Plain Python values to and from the protocol between a program and its monitor."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

UNKNOWN = rpc.UNKNOWN
_SIGNATURE = rpc._special_sig_key
_SECRET = rpc._special_secret_sig


@dataclass(frozen=True)
class Properties:
    """Values of a resource, and the paths of those that are secret (`environment.DATABASE_URL`)."""

    values: dict[str, Any]
    secrets: frozenset[str]

    def secret_texts(self) -> list[str]:
        """Every text inside a secret value, for keeping it out of messages."""
        found: list[str] = []

        def walk(value: object, path: str, *, inside: bool) -> None:
            inside = inside or path in self.secrets
            if isinstance(value, Mapping):
                for key, item in value.items():
                    walk(item, f"{path}.{key}" if path else str(key), inside=inside)
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    walk(item, f"{path}[{index}]", inside=inside)
            elif inside and isinstance(value, str) and value and value != UNKNOWN:
                found.append(value)

        walk(self.values, "", inside=False)
        return found


def unpack(struct: struct_pb2.Struct) -> Properties:
    """Reads a message; secrets are opened and their paths remembered."""
    secrets: set[str] = set()

    def plain(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            if value.get(_SIGNATURE) == _SECRET:
                secrets.add(path)
                return plain(value.get("value"), path)
            return {k: plain(v, f"{path}.{k}" if path else k) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
        # The protocol knows only doubles.
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return Properties(plain(json_format.MessageToDict(struct), ""), frozenset(secrets))


def pack(values: Mapping[str, Any], secret: Collection[str] = ()) -> struct_pb2.Struct:
    """Writes a message; what is at the paths in `secret` is marked as such."""

    def marked(value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            value = {k: marked(v, f"{path}.{k}" if path else k) for k, v in value.items()}
        elif isinstance(value, list):
            value = [marked(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return {_SIGNATURE: _SECRET, "value": value} if path and path in secret else value

    return json_format.ParseDict(marked(values, ""), struct_pb2.Struct())
