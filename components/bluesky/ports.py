"""What every Bluesky backend takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import pulumi


@dataclass(frozen=True)
class Account:
    """An existing account of the bot on an existing PDS. `password` is an app password.

    `couriers` send replies as well: a JSON list of `{"handle", "password"}`.
    """

    url: str
    handle: str
    password: pulumi.Input[str]
    couriers: pulumi.Input[str] = "[]"


@dataclass(frozen=True)
class BlueskyArgs:
    """`account`: use this one and run no network. `limits`: those of bsky.social apply.

    `bot_accounts` is how many the bot has on a network of its own.
    """

    account: Account | None = None
    limits: bool = True
    bot_accounts: int = 1


@dataclass(frozen=True)
class BlueskyOutputs:
    """`url` is the PDS, known only when the bot's account can be used; `password` is secret.

    `address` is the same, known before anything answers there: for what can wait for it by itself.
    `couriers` are the accounts that send replies beside the main one, as in `Account`; secret.
    `endpoints` are addresses a person may want to look at, by name.
    """

    url: pulumi.Output[str]
    address: pulumi.Output[str]
    handle: pulumi.Output[str]
    password: pulumi.Output[str]
    couriers: pulumi.Output[str]
    endpoints: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account) -> Self:
        """Of an account that no stack creates."""
        return cls(
            url=pulumi.Output.from_input(account.url),
            address=pulumi.Output.from_input(account.url),
            handle=pulumi.Output.from_input(account.handle),
            password=pulumi.Output.secret(account.password),
            couriers=pulumi.Output.secret(account.couriers),
        )
