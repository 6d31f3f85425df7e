"""Kinds of values that keys of a stack file have."""

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic.alias_generators import to_camel

from infra.policy.rule import Exemption

HANDLE = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"


class Keys(BaseModel):
    """Keys under the project's namespace (`etcetera:phase`, …), all of them strings in a file.

    Each field's description ends with how to mend a wrong value; error messages quote it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def url(*schemes: str) -> AfterValidator:
    """A secret URL with one of these schemes."""

    def check(value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            well_formed = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            well_formed = False
        if not well_formed:
            raise ValueError(
                f"must be a URL that starts with {' or '.join(f'{s}://' for s in schemes)}"
            )
        return value

    return AfterValidator(check)


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL that starts with http:// or https://")
    return value.rstrip("/")


def _couriers(value: SecretStr) -> SecretStr:
    try:
        given = json.loads(value.get_secret_value())
    except ValueError:
        given = None
    well_formed = isinstance(given, list) and all(
        isinstance(one, dict)
        and one.keys() == {"handle", "password"}
        and all(isinstance(text, str) and text for text in one.values())
        and re.fullmatch(HANDLE, one["handle"])
        for one in given
    )
    if not well_formed:
        raise ValueError("must be a JSON list of objects with handle and password")
    if len({one["handle"] for one in given}) < len(given):
        raise ValueError("names an account twice")
    return value


def _unprivileged(value: int | None) -> int | None:
    if value is not None and value < 1024:
        raise ValueError("ports below 1024 are privileged")
    return value


def _list(value: object) -> object:
    """A YAML list reaches the program as JSON; a single value may be written without brackets."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [value]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("is not a list") from None


def _network(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"{value} is no network in CIDR notation: {error}") from None


def _not_everybody(value: str) -> str:
    if ipaddress.IPv4Network(value).prefixlen < 16:
        raise ValueError(f"{value} lets in more than a company's network")
    return value


def _image(value: str) -> str:
    name, _, digest = value.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not digest and tag in ("", "latest"):
        raise ValueError(
            "must name a version or a digest, so that a stack runs the same code twice"
        )
    if digest and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError("has a digest that is not sha256: and 64 hexadecimal digits")
    return value


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
Couriers = Annotated[SecretStr, AfterValidator(_couriers)]
Port = AfterValidator(_unprivileged)
Network = Annotated[str, AfterValidator(_network)]
OperatorNetworks = Annotated[
    tuple[Annotated[str, AfterValidator(_network), AfterValidator(_not_everybody)], ...],
    BeforeValidator(_list),
]
Image = Annotated[str, AfterValidator(_image)]
Exemptions = Annotated[tuple[Exemption, ...], BeforeValidator(_list)]
