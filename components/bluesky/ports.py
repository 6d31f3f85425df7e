"""What every Bluesky backend takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi


@dataclass(frozen=True)
class Account:
    """An existing account of the bot on an existing PDS. `password` is an app password."""

    url: str
    handle: str
    password: pulumi.Input[str]


@dataclass(frozen=True)
class BlueskyArgs:
    """`account`: use this one and run no network. `limits`: those of bsky.social apply."""

    account: Account | None = None
    limits: bool = True


@dataclass(frozen=True)
class BlueskyOutputs:
    """`url` is the PDS, known only when the bot's account can be used; `password` is secret.

    `address` is the same, known before anything answers there: for what can wait for it by itself.
    `endpoints` are addresses a person may want to look at, by name.
    """

    url: pulumi.Output[str]
    address: pulumi.Output[str]
    handle: pulumi.Output[str]
    password: pulumi.Output[str]
    endpoints: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
