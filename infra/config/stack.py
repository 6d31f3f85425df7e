"""All keys of a stack file, what they must keep to together, and errors worded for people."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from infra.config import rules
from infra.config.aws import AwsKeys
from infra.config.local import LocalKeys
from infra.config.values import HANDLE, Couriers, WebUrl, url
from infra.phases import PHASES

PROJECT = "etcetera"
UNKNOWN = "unknown key"


class ConfigError(Exception):
    """The stack file is wrong. The message names each key, what is wrong with it and the fix."""


def _known_phase(value: int) -> int:
    if value not in PHASES:
        raise ValueError(f"there is no phase {value}")
    return value


class StackConfig(LocalKeys, AwsKeys):
    """What a stack file may say."""

    phase: Annotated[int, AfterValidator(_known_phase)] = Field(
        description=f"roadmap phase; use one of {', '.join(map(str, PHASES))}"
    )
    target: Literal["local", "aws"] = Field(
        default="local", description="where the stack runs; use local (this machine) or aws"
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

    database_url: Annotated[SecretStr, url("postgresql", "postgres")] | None = Field(
        default=None,
        description="an existing PostgreSQL to use in place of deploying one; set it with "
        "`config set --secret etcetera:databaseUrl postgresql://…`",
    )
    synchronous_commit: bool = Field(
        default=True,
        description="whether a commit waits for a replica (from phase 2): true loses nothing "
        "acknowledged when the primary is lost, false commits faster; use true or false",
    )
    redis_url: Annotated[SecretStr, url("redis", "rediss")] | None = Field(
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
    bluesky_couriers: Couriers | None = Field(
        default=None,
        description="accounts that send replies beside the bot's own, each with a write budget; "
        'use a JSON list such as [{"handle": "courier.example.com", "password": "…"}], set with '
        "`config set --secret etcetera:blueskyCouriers`",
    )
    bluesky_ingest: Literal["notifications", "firehose"] = Field(
        default="notifications",
        description="where mentions come from; use notifications or firehose",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if found := rules.named(rules.problems(self)):
            raise ValueError("\n".join(found))
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
    for key, reason in _reasons(error):
        if reason == UNKNOWN:
            reason = f"unknown key; known keys are {', '.join(sorted(fixes))}"
        fix = fixes.get(key) or f"config rm {PROJECT}:{key} --stack {stack}"
        lines.append(f"  {PROJECT}:{key}: {reason}\n      fix: {fix}")
    return f"stack {stack} is not configured right; nothing was changed\n" + "\n".join(lines)


def _reasons(error: ValidationError) -> Iterator[tuple[str, str]]:
    for problem in error.errors(include_url=False, include_input=False):
        reason = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:  # of the rules over several keys
            yield from (tuple(line.split("|", 1)) for line in reason.splitlines())  # type: ignore[misc]
        elif problem["type"] == "extra_forbidden":
            yield str(problem["loc"][0]), UNKNOWN
        else:
            required = problem["type"] == "missing"
            yield str(problem["loc"][0]), "is required" if required else reason
