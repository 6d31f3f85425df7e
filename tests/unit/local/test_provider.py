"""Decides how Pulumi's protocol is translated; what the operations do is decided elsewhere."""

import asyncio
from pathlib import Path

import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CheckRequest, CreateRequest, DiffRequest

from infra.local.operations import UNKNOWN
from infra.local.provider import LocalProvider
from infra.local.values import plain, secret_texts, wrap

URN = "urn:pulumi:phase0::etcetera::etcetera:app:Web$local:index:Process::web"


def _value(value: object, *, secret: bool = False) -> PropertyValue:
    """A value as it arrives: numbers are floats."""
    if isinstance(value, dict):
        return PropertyValue({key: _value(item) for key, item in value.items()}, is_secret=secret)
    if isinstance(value, list):
        return PropertyValue([_value(item) for item in value], is_secret=secret)
    if isinstance(value, PropertyValue):
        return value
    if type(value) is int:
        return PropertyValue(float(value), is_secret=secret)
    assert value is None or isinstance(value, str | float | bool)
    return PropertyValue(value, is_secret=secret)


def _inputs(**inputs: object) -> dict[str, PropertyValue]:
    return {key: _value(value) for key, value in inputs.items()}


@pytest.fixture
def provider() -> LocalProvider:
    return LocalProvider()


def test_secrets_are_found_wherever_they_are() -> None:
    inputs = _inputs(
        environment={"URL": _value("hidden one", secret=True), "PORT": "80"},
        command=["server", _value("hidden two", secret=True)],
        files=_value({"conf": "hidden three"}, secret=True),
    )
    assert secret_texts(inputs) == {"hidden one", "hidden two", "hidden three"}
    assert plain(inputs)["environment"] == {"URL": "hidden one", "PORT": "80"}


def test_outputs_are_wrapped_for_the_wire() -> None:
    wrapped = wrap({"value": "hidden", "pid": 7, "state": "ready"}, {"value"})
    assert wrapped["value"].is_secret
    assert wrapped["pid"].value == 7.0
    assert not wrapped["state"].is_secret
    assert not wrap({"value": UNKNOWN}, {"value"})["value"].is_secret


def test_check_keeps_secrets_and_names_the_property(provider: LocalProvider) -> None:
    inputs = _inputs(root="/srv/x", command=[], environment={"A": _value("h", secret=True)})
    response = asyncio.run(provider.check(CheckRequest(URN, {}, inputs, b"")))
    assert response.inputs is inputs
    assert [failure.property for failure in response.failures or []] == ["command"]


def test_only_another_root_replaces(provider: LocalProvider, tmp_path: Path) -> None:
    old = _inputs(root=str(tmp_path / "a"), command=["x"])
    new = _inputs(root=str(tmp_path / "b"), command=["x"])
    response = asyncio.run(provider.diff(DiffRequest(URN, "web", old, new, [])))
    assert response.replaces == ["root"]
    assert response.delete_before_replace


def test_a_resource_that_is_gone_asks_for_an_update(
    provider: LocalProvider, tmp_path: Path
) -> None:
    old = _inputs(root=str(tmp_path / "a"), command=["x"], state="ready", pid=7)
    new = _inputs(root=str(tmp_path / "a"), command=["x"])
    response = asyncio.run(provider.diff(DiffRequest(URN, "web", old, new, [])))
    assert (response.changes, response.replaces, response.diffs) == (True, [], ["state"])


def test_a_create_in_a_preview_touches_nothing(provider: LocalProvider, tmp_path: Path) -> None:
    inputs = _inputs(root=str(tmp_path / "a"), command=["x"], environment={"A": UNKNOWN})
    response = asyncio.run(provider.create(CreateRequest(URN, inputs, 0, preview=True)))
    assert response.resource_id == "web"
    assert response.properties["pid"].value == UNKNOWN
    assert response.properties["environment"] is inputs["environment"]
    assert not (tmp_path / "a").exists()
