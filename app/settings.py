"""The app's configuration: environment variables, checked once at the start.

`Settings.from_env` reports everything that is wrong in one go. What only some roles need (a port,
the Bluesky account) is optional here and demanded with `Settings.require`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import psycopg
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    ValidationError,
    model_validator,
)

from app import hosts, redis
from app.errors import SettingsError

FIXES = {
    "phase": "set a phase from 0 to 3",
    "database_url": "set postgresql://user:password@host:port/database",  # pragma: allowlist secret
    "replica_urls": "separate the URLs with commas, each of one server, written as DATABASE_URL is",
    "redis_url": "set redis://:password@host:port/0 (or rediss://; for a cluster "
    "redis://:password@host:port,host:port/0?cluster=true), or leave it out in phase 0",
    "public_url": "set the address people open, such as https://etcetera.exchange",
    "secret_key": "set at least 32 random characters, e.g. from `openssl rand -hex 32`",
    "operator_password": "set 16 characters, or leave it out for no "  # pragma: allowlist secret
    "operator's pages",
    "origin_secret": "set 32 characters that the CDN sends as "  # pragma: allowlist secret
    "X-Origin-Secret, or leave it out to answer everybody",
    "bluesky_url": "set the account's server, such as https://bsky.social",
    "bluesky_handle": "set the bot's handle without @, such as etcetera.exchange",
    "bluesky_password": "set an app password of the bot's account",
    "bluesky_couriers": 'set a JSON list of {"handle": ..., "password": ...}; [] for none',
    "bluesky_ingest": "set notifications or firehose",
    "monitor_targets": 'set JSON such as {"web": "http://127.0.0.1:8201/metrics"}',
    "monitor_objectives": 'set JSON such as {"page_p95_seconds": 1.0}',
    "autoscaler_size_file": "set the file that tells how many workers are wanted",
    "log_format": "set json or console",
    "log_level": "set debug, info, warning or error",
}


def _url(schemes: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(
                f"is not a URL starting with {' or '.join(s + '://' for s in schemes)}"
            )
        _ = parts.port  # raises ValueError when it is no number
        return value

    return AfterValidator(check)


def _postgres(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("is not a URL starting with postgresql:// or postgres://")
    try:
        named = hosts.names(text)
    except psycopg.ProgrammingError:  # its text repeats the URL
        raise ValueError("is not a URL that libpq understands") from None
    if any(name.startswith(":") for name in named):
        raise ValueError("names no host")
    return value


def _redis(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        named = [urlsplit(address) for address in redis.addresses(text)]
        good = all(p.scheme in ("redis", "rediss") and p.hostname and p.port != 0 for p in named)
    except ValueError:  # its text repeats what was given
        good = False
    if not good:
        raise ValueError("is not a URL starting with redis:// or rediss://")
    if len(named) > 1 and not redis.is_cluster(text):
        raise ValueError("names several servers but does not end in ?cluster=true")
    return value


def _one_server(value: SecretStr) -> SecretStr:
    if len(hosts.names(value.get_secret_value())) > 1:
        raise ValueError("has a URL with several hosts")
    return value


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return value


def _json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        # The text is secret, so nothing of it is quoted.
        raise ValueError("is not JSON") from None


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


HANDLE = r"^[^@\s]+\.[^@\s]+$"
Port = Annotated[int, Field(ge=1, le=65535)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres)]
ReplicaUrl = Annotated[PostgresUrl, AfterValidator(_one_server)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
WebUrl = Annotated[
    str, _url(("http", "https")), AfterValidator(lambda value: str(value).rstrip("/"))
]
# Also one name for many processes (app/monitor/discovery.py).
MetricsUrl = Annotated[str, _url(("http", "https", "http+dns"))]


class BotAccount(BaseModel):
    """An account that sends replies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    handle: Annotated[str, Field(pattern=HANDLE), BeforeValidator(_lower)]
    password: Annotated[SecretStr, Field(min_length=1)]


class Settings(BaseModel):
    """One field per environment variable, named as the variable in lower case."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: Annotated[int, Field(ge=0, le=3)]
    database_url: PostgresUrl
    replica_urls: Annotated[tuple[ReplicaUrl, ...], BeforeValidator(_split)] = ()
    redis_url: RedisUrl | None = None
    public_url: WebUrl
    secret_key: Annotated[SecretStr, Field(min_length=32)]
    operator_password: Annotated[SecretStr, Field(min_length=16)] | None = None
    origin_secret: Annotated[SecretStr, Field(min_length=32)] | None = None

    bluesky_url: WebUrl | None = None
    bluesky_handle: Annotated[str, Field(pattern=HANDLE)] | None = None
    bluesky_password: SecretStr | None = None
    bluesky_couriers: Annotated[tuple[BotAccount, ...], BeforeValidator(_json)] = ()
    bluesky_ingest: Literal["notifications", "firehose"] = "notifications"
    bluesky_poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    bluesky_write_points_hour: Annotated[int, Field(ge=1)] = 5000
    bluesky_write_points_day: Annotated[int, Field(ge=1)] = 35000

    host: str = "127.0.0.1"
    port: Port | None = None
    metrics_port: Port | None = None
    web_workers: Annotated[int, Field(ge=1, le=64)] = 2
    web_threads: Annotated[int, Field(ge=1, le=256)] = 8
    trusted_proxies: Annotated[int, Field(ge=0, le=8)] = 0
    rate_limits: bool = True  # per address, on the site; off for benchmarks
    worker_threads: Annotated[int, Field(ge=1, le=256)] = 4  # for effects
    reply_threads: Annotated[int, Field(ge=1, le=256)] = 4
    database_pool: Annotated[int, Field(ge=1, le=500)] = 10
    # Of what commits invalidate anyway: how old it can become when one could not tell the cache.
    cache_seconds: Annotated[float, Field(ge=0)] = 600.0
    lease_seconds: Annotated[float, Field(ge=1)] = 30.0
    drain_seconds: Annotated[float, Field(ge=0)] = 20.0  # for jobs that run when a worker stops
    autoscaler_least: Annotated[int, Field(ge=0)] | None = None
    autoscaler_most: Annotated[int, Field(ge=1)] | None = None
    autoscaler_oldest_seconds: Annotated[float, Field(gt=0)] | None = None
    autoscaler_jobs_per_worker: Annotated[int, Field(ge=1)] | None = None
    autoscaler_calm_seconds: Annotated[float, Field(ge=0)] | None = None
    autoscaler_accounts: Annotated[int, Field(ge=1)] = 1  # of the bot, each with a write budget
    autoscaler_size_file: Path | None = None
    # The monitor: metrics endpoints and limits by name, and the site it tries as people do.
    monitor_targets: Json[dict[str, MetricsUrl]] = {}
    monitor_objectives: Json[dict[str, float]] = {}
    monitor_site: WebUrl | None = None
    monitor_seconds: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        "info"
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] = "json"
    prometheus_multiproc_dir: str | None = None

    @model_validator(mode="after")
    def _later_phases(self) -> Self:
        if self.replica_urls and self.phase < 2:
            raise ValueError("REPLICA_URLS: read replicas begin with phase 2; leave it empty")
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if (self.autoscaler_least or 0) > (self.autoscaler_most or self.autoscaler_least or 0):
            raise ValueError("AUTOSCALER_LEAST is more than AUTOSCALER_MOST; swap them")
        return self

    @model_validator(mode="after")
    def _accounts_differ(self) -> Self:
        handles = [account.handle for account in self.bot_accounts]
        if len(set(handles)) < len(handles):
            raise ValueError("BLUESKY_COURIERS: names an account twice; leave out the bot's own")
        return self

    @property
    def bot_accounts(self) -> tuple[BotAccount, ...]:
        """Those that send replies, the one that people mention first; empty without Bluesky."""
        if self.bluesky_handle is None or self.bluesky_password is None:
            return ()
        own = BotAccount(handle=self.bluesky_handle.lower(), password=self.bluesky_password)
        return (own, *self.bluesky_couriers)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Reads the environment; an empty variable counts as absent.

        Raises SettingsError naming every wrong variable, what is wrong with it and the fix.
        """
        given = {
            name: env[name.upper()].strip()
            for name in cls.model_fields
            if env.get(name.upper(), "").strip()
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            # `from None`: the original's text repeats the values, secrets included.
            raise SettingsError(_explain(error)) from None

    def require(self, *names: str) -> Self:
        """Raises SettingsError unless these fields, which a role cannot do without, are set."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise SettingsError([_problem(name, "is missing") for name in missing])
        return self


def _problem(name: str, what: str) -> str:
    fix = FIXES.get(name)
    return f"{name.upper()} {what}" + (f"; {fix}" if fix else "")


def _explain(error: ValidationError) -> list[str]:
    """One line per wrong variable, never with its value: it may be a secret."""
    problems: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False, include_context=True):
        if not detail["loc"]:
            problems.setdefault("", detail["msg"].removeprefix("Value error, "))
            continue
        name = str(detail["loc"][0])
        if detail["type"] == "missing":
            what = "is missing"
        elif detail["type"] == "value_error":
            what = detail["msg"].removeprefix("Value error, ")
            what = what if what.startswith("is ") else f"is wrong ({what})"
        else:
            message = detail["msg"]
            what = f"is wrong ({message[0].lower()}{message[1:]})"
        problems.setdefault(name, _problem(name, what))
    return list(problems.values())
