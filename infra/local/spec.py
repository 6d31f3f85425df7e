"""What can be asked for: the inputs of each resource type, validated and hashed."""

import hashlib
import json
import re
import signal
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How Pulumi's protocol writes a value that is not known before something else is deployed."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("must be an absolute path")
    if len(PurePosixPath(path).parts) < 3:
        raise ValueError("must not be / or a folder directly in it: destroy removes it")
    return str(PurePosixPath(path))


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError("must be a path inside the process's folder")
    return path


def _signal(name: str) -> str:
    if name not in signal.Signals.__members__:
        raise ValueError("is not the name of a signal, such as SIGTERM")
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return text


Root = Annotated[str, AfterValidator(_absolute)]
Inside = Annotated[str, AfterValidator(_inside)]
Signal = Annotated[str, AfterValidator(_signal)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Command = Annotated[list[str], Field(min_length=1)]


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=False,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
    )


class Initialize(Model):
    command: Command
    creates: Inside


class Probe(Model):
    """Exactly one of `http`, `tcp` and `exec`."""

    http: str | None = None
    tcp: Port | None = None
    send: str | None = None
    expect: Pattern | None = None
    or_closed: bool = False
    exec: Command | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if [self.http, self.tcp, self.exec].count(None) != 2:
            raise ValueError("needs exactly one of http, tcp and exec")
        if self.tcp is None and (self.send or self.expect or self.or_closed):
            raise ValueError("send, expect and orClosed go with tcp only")
        return self


class Liveness(Model):
    interval_seconds: Seconds = 5
    failures: Annotated[int, Field(ge=1)] = 6
    probes: list[Probe] = []
    kill: bool = False


class Stop(Model):
    signal: Signal = "SIGTERM"
    timeout_seconds: Seconds = 10


class Pool(Model):
    """A place among equal processes, filled while the pool's size reaches `ordinal`.

    The size is a number in the stack folder and nobody's input; while there is none it is `least`.
    """

    name: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
    ordinal: Annotated[int, Field(ge=1)]
    least: Annotated[int, Field(ge=0)] = 0


class Spec(Model):
    """What all resources have in common."""

    type: ClassVar[str]
    root: Root

    def digest(self) -> str:
        """Identifies this spec: equal for equal inputs, whatever the engine."""
        return _digest(self.model_dump(by_alias=True))


class SecretSpec(Spec):
    type = "local:index:Secret"
    length: Annotated[int, Field(ge=8, le=1024)] = 32


class CommandSpec(Spec):
    """A command with its surroundings."""

    command: Command
    environment: dict[str, str] = {}
    files: dict[Inside, str] = {}
    user_namespace: bool = False
    triggers: dict[str, str | int | float | bool] = {}


class TaskSpec(CommandSpec):
    type = "local:index:Task"
    timeout_seconds: Seconds = 300


class ProcessSpec(CommandSpec):
    type = "local:index:Process"
    initialize: list[Initialize] = []
    ports: list[Port] = []
    port_hint: str | None = None
    ready: Probe | None = None
    ready_timeout_seconds: Seconds = 60
    liveness: Liveness = Liveness()
    stop: Stop = Stop()
    reload_signal: Signal | None = None
    pool: Pool | None = None

    def running_digest(self) -> str:
        """Identifies what a running process cannot take over without a restart."""
        kept = {"command", "environment", "user_namespace", "triggers", "ports"}
        if self.reload_signal is None:
            kept.add("files")
        return _digest(self.model_dump(include=kept))


SPECS: Final[Mapping[str, type[SecretSpec] | type[TaskSpec] | type[ProcessSpec]]] = {
    spec.type: spec for spec in (SecretSpec, TaskSpec, ProcessSpec)
}

AnySpec = SecretSpec | TaskSpec | ProcessSpec
Kind = Literal["local:index:Secret", "local:index:Task", "local:index:Process"]


def parse(type_: str, inputs: Mapping[str, Any]) -> AnySpec:
    """The spec of these inputs. Raises `pydantic.ValidationError`; KeyError on a strange type."""
    return SPECS[type_].model_validate(_plain(inputs))


def failures(type_: str, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with the inputs, as (property path, reason); unknown values are not judged."""
    if type_ not in SPECS:
        return [("", f"{type_} is no resource of the local provider, which has {', '.join(SPECS)}")]
    plain = _plain(inputs)
    try:
        SPECS[type_].model_validate(plain)
    except ValidationError as error:
        return [
            (_path(e["loc"]), e["msg"].removeprefix("Value error, "))
            for e in error.errors(include_url=False, include_context=False, include_input=False)
            if not _touches_unknown(plain, e["loc"])
        ]
    return []


def changed(type_: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The inputs that differ; one that is left out is the same as its default.

    Neither may hold unknown values; what was written before need not be valid any more.
    """
    new = parse(type_, after).model_dump(by_alias=True)
    try:
        old = parse(type_, before).model_dump(by_alias=True)
    except ValidationError:
        old = {}
    return sorted(key for key in new if key not in old or old[key] != new[key])


def has_unknown(value: object) -> bool:
    """Whether some part of the value is known only after something else is deployed."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def _plain(value: object) -> object:
    """Undoes what the protocol does: whole numbers come as floats, absent values as null."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _touches_unknown(value: object, location: tuple[int | str, ...]) -> bool:
    for step in location:
        if isinstance(value, list):
            value = dict(enumerate(value))
        if not isinstance(value, dict) or step not in value:
            break
        value = value[step]
    return has_unknown(value)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        if step == "[key]":
            continue
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.isidentifier():
            path += f".{step}" if path else step
        else:
            path += f"[{json.dumps(step)}]"
    return path


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
