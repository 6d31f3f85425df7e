"""Between the values of Pulumi's protocol and plain Python ones."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue

from infra.local.spec import UNKNOWN

Properties = dict[str, PropertyValue]


def plain(properties: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """The values alone; that some are secret is not kept."""
    return {key: _open(value) for key, value in properties.items()}


def secret_texts(properties: Mapping[str, PropertyValue]) -> set[str]:
    """All texts inside secret values."""
    return {text for value in properties.values() for text in _texts(value, secret=False)}


def wrap(outputs: Mapping[str, Any], secret: Collection[str] = ()) -> Properties:
    """Outputs for the engine; those named in `secret` are marked."""
    return {
        key: PropertyValue(
            float(value) if type(value) is int else value,
            is_secret=key in secret and value != UNKNOWN,
        )
        for key, value in outputs.items()
    }


def _open(value: PropertyValue) -> object:
    content = value.value
    if isinstance(content, Mapping):
        return {key: _open(item) for key, item in content.items()}
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [_open(item) for item in content]
    return content


def _texts(value: PropertyValue, *, secret: bool) -> Iterator[str]:
    secret = secret or value.is_secret
    content = value.value
    if isinstance(content, Mapping):
        for item in content.values():
            yield from _texts(item, secret=secret)
    elif isinstance(content, tuple):
        for item in content:
            yield from _texts(item, secret=secret)
    elif secret and isinstance(content, str):
        yield content
