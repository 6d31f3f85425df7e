"""The stack that is being deployed: its configuration joined with its phase and its target."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pulumi
from pulumi.runtime.config import CONFIG
from pydantic import SecretStr

from components.bluesky import Account
from components.target import AwsAccount, Binaries, LocalTarget
from infra.config import ConfigError, StackConfig
from infra.config.sizing import aws_size
from infra.phases import PHASES, Phase, WorkloadSize

__all__ = ["ConfigError", "Stack"]

REPOSITORY = Path(__file__).parents[1]
FIRST_PROTECTED_PHASE = 1  # phase 0 is for trying things out


@dataclass(frozen=True)
class Stack:
    """`name` is free; what it deploys is said by `config` alone."""

    name: str
    config: StackConfig

    @classmethod
    def current(cls) -> Self:
        """The stack of the running Pulumi program.

        Raises:
            ConfigError: the stack file is wrong.
        """
        name = pulumi.get_stack()
        # All values at once, which `pulumi.Config` cannot give, so that unknown keys are found.
        return cls(name, StackConfig.parse(CONFIG.get(), stack=name))

    @property
    def phase(self) -> Phase:
        return PHASES[self.config.phase]

    @property
    def workload(self) -> WorkloadSize:
        """The phase's workload, with what the stack file sets otherwise."""
        size = self.phase.workload
        if self.config.workers is None:
            return size
        return replace(size, workers=self.config.workers, scaling=None)

    @cached_property
    def local(self) -> LocalTarget:
        """Where a stack of target local runs.

        Raises:
            ConfigError: it runs elsewhere.
        """
        if self.config.target != "local":
            raise ConfigError(
                f"stack {self.name} runs on {self.config.target}, which needs the Pulumi CLI: "
                "https://www.pulumi.com/docs/install/. Without it there is "
                f"`scripts/pulumi preview --stack {self.name}`."
            )
        return LocalTarget(
            root=self.config.data_dir or REPOSITORY / ".local" / self.name,
            port_base=self.config.port_base or 8000 + 100 * self.config.phase,
            binaries=Binaries(
                postgres=self.config.postgres_binaries,
                etcd=self.config.etcd_binary,
                redis=self.config.redis_binary,
                nginx=self.config.nginx_binary,
                node=self.config.node_binary,
            ),
        )

    @property
    def account(self) -> AwsAccount:
        """Where a stack of target aws runs."""
        config = self.config
        return AwsAccount(
            stack=self.name,
            phase=config.phase,
            account_id=_demanded(config.account_id),
            region=config.region,
            domain=_demanded(config.domain),
            hosted_zone_id=config.hosted_zone_id,
            owner=config.owner,
            environment=config.environment,
            operator_cidrs=config.operator_cidrs,
            alert_email=_demanded(config.alert_email),
            budget=self.phase.budget,
            image=_demanded(config.image),
            image_pull_secret=_secret(config.image_pull_secret),
            size=aws_size(config),
            protect=config.phase >= FIRST_PROTECTED_PHASE,
        )

    @property
    def public_url(self) -> str:
        if self.config.target == "aws":
            return f"https://{self.config.domain}"
        return self.config.public_url or f"http://localhost:{self.local.port('public')}"

    @property
    def database_url(self) -> pulumi.Output[str] | None:
        return _secret(self.config.database_url)

    @property
    def redis_url(self) -> pulumi.Output[str] | None:
        return _secret(self.config.redis_url)

    @property
    def bluesky_limits(self) -> bool:
        """Whether the write limits of bsky.social apply; they always do outside this machine."""
        elsewhere = self.config.bluesky_url is not None and not _here(self.config.bluesky_url)
        return self.config.bluesky_limits == "on" or elsewhere

    @property
    def bluesky_account(self) -> Account | None:
        """The bot's account elsewhere; None means a network on this machine."""
        config = self.config
        password = _secret(config.bluesky_password)
        if config.bluesky_url is None or config.bluesky_handle is None or password is None:
            return None
        couriers = _secret(config.bluesky_couriers) or "[]"
        return Account(config.bluesky_url, config.bluesky_handle, password, couriers)


def _demanded(value: str | None) -> str:
    if value is None:
        raise AssertionError("the configuration demands it")
    return value


def _here(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _secret(value: SecretStr | None) -> pulumi.Output[str] | None:
    return None if value is None else pulumi.Output.secret(value.get_secret_value())
