"""A stack's configuration: typed, frozen, and refused as a whole before anything changes.

Parsing does no I/O. Whether this machine can hold the stack is the question of `infra.preflight`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from infra.phases import PHASES

PROJECT = "etcetera"
HANDLE = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"


class ConfigError(Exception):
    """The stack file is wrong. The message names each key, what is wrong with it and the fix."""


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _url(*schemes: str) -> AfterValidator:
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


def _known_phase(value: int) -> int:
    if value not in PHASES:
        raise ValueError(f"there is no phase {value}")
    return value


def _unprivileged(value: int | None) -> int | None:
    if value is not None and value < 1024:
        raise ValueError("ports below 1024 are privileged")
    return value


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
WebUrl = Annotated[str, AfterValidator(_web_url)]


class StackConfig(BaseModel):
    """What a stack file may say, under the project's namespace (`etcetera:phase`, …).

    Each field's description ends with how to mend a wrong value; error messages quote it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )

    phase: Annotated[int, AfterValidator(_known_phase)] = Field(
        description=f"roadmap phase; use one of {', '.join(map(str, PHASES))}"
    )
    target: Literal["local"] = Field(
        default="local", description="where the stack runs; use local (this machine)"
    )

    port_base: Annotated[int, Field(le=65_000), AfterValidator(_unprivileged)] | None = Field(
        default=None,
        description="first of the 100 loopback ports of a local stack; use 1024..65000, "
        "or leave it out for 8000 + 100 x phase",
    )
    data_dir: AbsolutePath | None = Field(
        default=None,
        description="folder of a local stack's data; use an absolute path, or leave it out for "
        ".local/<stack> in the repository",
    )
    public_url: WebUrl | None = Field(
        default=None,
        description="address people open; use http(s)://host, or leave it out for the edge's own",
    )
    operator: str = Field(
        default="operator@etcetera.test",
        min_length=3,
        max_length=200,
        description="contact shown on the site; use an e-mail address or a Bluesky handle",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="worker processes, whatever there is to do; use 1..10, or leave it out for "
        "the phase's number, from phase 2 on as many as the queue needs",
    )

    database_url: Annotated[SecretStr, _url("postgresql", "postgres")] | None = Field(
        default=None,
        description="an existing PostgreSQL to use in place of deploying one; set it with "
        "`config set --secret etcetera:databaseUrl postgresql://…`",
    )
    synchronous_commit: bool = Field(
        default=True,
        description="whether a commit waits for a replica (from phase 2): true loses nothing "
        "acknowledged when the primary is lost, false commits faster; use true or false",
    )
    redis_url: Annotated[SecretStr, _url("redis", "rediss")] | None = Field(
        default=None,
        description="an existing Redis to use in place of deploying one; set it with "
        "`config set --secret etcetera:redisUrl rediss://…`",
    )

    bluesky_url: WebUrl | None = Field(
        default=None,
        description="the PDS of the bot's account (https://bsky.social); leave it out to run a "
        "Bluesky network on this machine",
    )
    bluesky_handle: str | None = Field(
        default=None,
        pattern=HANDLE,
        description="the bot's handle without @, such as etcetera.example.com",
    )
    bluesky_password: SecretStr | None = Field(
        default=None,
        description="an app password of the bot's account; set it with "
        "`config set --secret etcetera:blueskyPassword`",
    )
    bluesky_couriers: Annotated[SecretStr, AfterValidator(_couriers)] | None = Field(
        default=None,
        description="accounts that send replies beside the bot's own, each with a write budget; "
        'use a JSON list such as [{"handle": "courier.example.com", "password": "…"}], set with '
        "`config set --secret etcetera:blueskyCouriers`",
    )
    bluesky_ingest: Literal["notifications", "firehose"] = Field(
        default="notifications",
        description="where mentions come from; use notifications or firehose",
    )

    bluesky_limits: Literal["on", "off"] = Field(
        default="on",
        description="whether the network on this machine has the write limits of bsky.social and "
        "the bot keeps to them; use on, or off for load and fault tests",
    )

    postgres_binaries: AbsolutePath | None = Field(
        default=None,
        description="folder with initdb and postgres, such as /usr/lib/postgresql/17/bin; "
        "leave it out for the bundled ones",
    )
    etcd_binary: AbsolutePath | None = Field(
        default=None,
        description="an etcd (from phase 2, for PostgreSQL); leave it out for the bundled one",
    )
    redis_binary: AbsolutePath | None = Field(
        default=None,
        description="a redis-server or valkey-server; leave it out for the bundled one",
    )
    nginx_binary: AbsolutePath | None = Field(
        default=None, description="an nginx; leave it out for the bundled one"
    )
    node_binary: AbsolutePath | None = Field(
        default=None, description="Node.js 20 or newer; leave it out to look on PATH"
    )

    @model_validator(mode="after")
    def _redis_from_phase_1(self) -> Self:
        if self.redis_url is not None and PHASES[self.phase].redis is None:
            raise ValueError(f"redisUrl|phase {self.phase} has no Redis; remove it, or use phase 1")
        return self

    @model_validator(mode="after")
    def _bluesky_all_or_nothing(self) -> Self:
        given = (self.bluesky_url, self.bluesky_handle, self.bluesky_password)
        if any(given) and not all(given):
            raise ValueError("blueskyUrl|blueskyUrl, blueskyHandle and blueskyPassword go together")
        if self.bluesky_couriers is not None and not all(given):
            raise ValueError("blueskyCouriers|couriers need blueskyUrl and the bot's own account")
        if self.bluesky_handle in self.courier_handles:
            raise ValueError("blueskyCouriers|the bot's own account is no courier")
        return self

    @property
    def courier_handles(self) -> list[str]:
        """Of accounts elsewhere; those of a network on this machine are not configured."""
        given = self.bluesky_couriers
        return [one["handle"] for one in json.loads(given.get_secret_value())] if given else []

    @classmethod
    def parse(cls, values: Mapping[str, str], *, stack: str) -> Self:
        """Reads the values of a stack file, keyed by `namespace:name` as Pulumi hands them over.

        Raises:
            ConfigError: naming every wrong key, why it is wrong and how to mend it.
        """
        own = {
            key.removeprefix(f"{PROJECT}:"): value
            for key, value in values.items()
            if key.startswith(f"{PROJECT}:")
        }
        try:
            return cls.model_validate(own)
        except ValidationError as error:
            raise ConfigError(_explain(error, stack)) from None


def _explain(error: ValidationError, stack: str) -> str:
    fixes = {to_camel(name): field.description for name, field in StackConfig.model_fields.items()}
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        key = str(problem["loc"][0]) if problem["loc"] else ""
        reason = problem["msg"].removeprefix("Value error, ")
        if not key:  # a rule over several keys names the one to change before a bar
            key, _, reason = reason.partition("|")
        if problem["type"] == "extra_forbidden":
            reason = f"unknown key; known keys are {', '.join(sorted(fixes))}"
        elif problem["type"] == "missing":
            reason = "is required"
        fix = fixes.get(key)
        lines.append(
            f"  {PROJECT}:{key}: {reason}"
            + (
                f"\n      fix: {fix}"
                if fix
                else f"\n      fix: config rm {PROJECT}:{key} --stack {stack}"
            )
        )
    return f"stack {stack} is not configured right; nothing was changed\n" + "\n".join(lines)
