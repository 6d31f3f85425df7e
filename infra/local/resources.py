"""The resources of the `local` provider, for components to use.

A resource's logical name is also its name in the stack folder (`root`), so it is unique per stack.
Wherever text is taken, `{folder}` stands for the process's own folder.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi import Input, Output, ResourceOptions

from infra.local.store import Store


@dataclass(frozen=True, kw_only=True)
class Initialize:
    """A command run once, before the first start, while `creates` does not exist.

    `{staging}` in the command is a temporary path that is renamed to `creates` when the command
    succeeds, so an interrupted command leaves nothing half-made. `creates` is relative to the
    process's folder.
    """

    command: Sequence[Input[str]]
    creates: Input[str]


@dataclass(frozen=True, kw_only=True)
class HttpProbe:
    """Ready when a GET of the URL answers with a status below 400."""

    http: Input[str]


@dataclass(frozen=True, kw_only=True)
class TcpProbe:
    """Ready when the port on 127.0.0.1 accepts and, after `send`, answers what `expect` matches.

    With `or_closed` a port where nobody listens is fine as well: only silence is not.
    """

    tcp: Input[int]
    send: Input[str] | None = None
    expect: Input[str] | None = None
    or_closed: Input[bool] | None = None


@dataclass(frozen=True, kw_only=True)
class ExecProbe:
    """Ready when the command, run with the process's environment, exits with 0."""

    exec: Sequence[Input[str]]


Probe = HttpProbe | TcpProbe | ExecProbe


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """How often the process is probed, and how many failures in a row mean a restart.

    The ready probe is repeated, or else all of `probes` are asked. Those decide alone, also while
    the process is not ready: from their first success on, or else when `ready_timeout_seconds` have
    passed. So a process may take its time to be ready again, as long as it shows signs of life.
    With `kill` it is not asked to stop first, and all it started is killed with it.
    """

    interval_seconds: Input[float] = 5
    failures: Input[int] = 6
    probes: Sequence[Probe] | None = None
    kill: Input[bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The signal that asks for a clean stop, and the patience before SIGKILL."""

    signal: Input[str] = "SIGTERM"
    timeout_seconds: Input[float] = 10


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A place among equal processes whose number somebody else decides while they run.

    The process runs while the pool's size reaches its `ordinal` (from 1) and is "parked" otherwise.
    The size is a number in the file `pool_size_file`, to be replaced atomically; without one it is
    `least`. Changing it is no drift.
    """

    name: Input[str]
    ordinal: Input[int]
    least: Input[int] = 0


def pool_size_file(root: Path, pool: str) -> Path:
    """Where whoever scales the pool writes its size. The folder is there before any process."""
    return Store(root).size_file(pool)


class Secret(pulumi.CustomResource):
    """Random URL-safe text, made once and kept in the stack folder."""

    value: Output[str]

    def __init__(
        self,
        name: str,
        *,
        root: Input[str],
        length: Input[int] = 32,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            "local:index:Secret",
            name,
            {"root": root, "length": length, "value": None},
            ResourceOptions.merge(opts, ResourceOptions(additional_secret_outputs=["value"])),
        )


class Process(pulumi.CustomResource):
    """A long-lived process: started again when it dies, ready before its dependents start.

    `command` must not hold secrets (others can read it); `environment` and `files` may. `files`
    maps paths relative to the process's folder to their content. When nothing but files changed
    and there is a `reload_signal`, the process is signalled rather than restarted. `ports` are
    refused while somebody else holds them; `port_hint` then tells how to choose another.
    `user_namespace` hides that we are root from programs that refuse to run as root.
    """

    pid: Output[int]
    state: Output[str]
    started_at: Output[str]
    restarts: Output[int]
    folder: Output[str]
    log_path: Output[str]

    def __init__(
        self,
        name: str,
        *,
        root: Input[str],
        command: Sequence[Input[str]],
        environment: Mapping[str, Input[str]] | None = None,
        files: Mapping[str, Input[str]] | None = None,
        initialize: Sequence[Initialize] | None = None,
        ports: Sequence[Input[int]] | None = None,
        port_hint: Input[str] | None = None,
        ready: Probe | None = None,
        ready_timeout_seconds: Input[float] | None = None,
        liveness: Liveness | None = None,
        stop: Stop | None = None,
        reload_signal: Input[str] | None = None,
        pool: Pool | None = None,
        user_namespace: Input[bool] | None = None,
        triggers: Mapping[str, Input[str]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "root": root,
            "command": command,
            "environment": environment,
            "files": files,
            "initialize": initialize,
            "ports": ports,
            "port_hint": port_hint,
            "ready": ready,
            "ready_timeout_seconds": ready_timeout_seconds,
            "liveness": liveness,
            "stop": stop,
            "reload_signal": reload_signal,
            "pool": pool,
            "user_namespace": user_namespace,
            "triggers": triggers,
        }
        outputs = ["pid", "state", "started_at", "restarts", "folder", "log_path"]
        super().__init__("local:index:Process", name, _wire(inputs) | dict.fromkeys(outputs), opts)

    def translate_output_property(self, prop: str) -> str:
        return _OUTPUTS.get(prop, prop)


class Task(pulumi.CustomResource):
    """A command run to completion at creation and again whenever its inputs change.

    It has to be idempotent: what was interrupted is run again.
    """

    state: Output[str]
    finished_at: Output[str]
    folder: Output[str]
    log_path: Output[str]

    def __init__(
        self,
        name: str,
        *,
        root: Input[str],
        command: Sequence[Input[str]],
        environment: Mapping[str, Input[str]] | None = None,
        files: Mapping[str, Input[str]] | None = None,
        timeout_seconds: Input[float] | None = None,
        user_namespace: Input[bool] | None = None,
        triggers: Mapping[str, Input[str]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "root": root,
            "command": command,
            "environment": environment,
            "files": files,
            "timeout_seconds": timeout_seconds,
            "user_namespace": user_namespace,
            "triggers": triggers,
        }
        outputs = ["state", "finished_at", "folder", "log_path"]
        super().__init__("local:index:Task", name, _wire(inputs) | dict.fromkeys(outputs), opts)

    def translate_output_property(self, prop: str) -> str:
        return _OUTPUTS.get(prop, prop)


_OUTPUTS = {"startedAt": "started_at", "finishedAt": "finished_at", "logPath": "log_path"}


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _wire(inputs: Mapping[str, object]) -> dict[str, object]:
    """Arguments as they travel: camelCase, without those that were not given."""
    return {_camel(key): _wire_value(v) for key, v in inputs.items() if v is not None}


def _wire_value(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _wire({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_wire_value(item) for item in value]
    return value
