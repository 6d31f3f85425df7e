"""Bluesky for a stack on AWS: the bot's account elsewhere. Nothing is deployed."""

import pulumi

from components.bluesky.ports import BlueskyArgs, BlueskyOutputs
from components.target import AwsAccount


def build(
    name: str,  # noqa: ARG001 - as of every backend
    args: BlueskyArgs,
    target: AwsAccount,
    opts: pulumi.ResourceOptions,  # noqa: ARG001
) -> BlueskyOutputs:
    """Raises ValueError without an account: a network of its own is for local stacks."""
    if args.account is None:
        raise ValueError(
            f"stack {target.stack} has no account on Bluesky, and only local stacks can have a "
            "network of their own: set etcetera:blueskyUrl, etcetera:blueskyHandle and "
            "etcetera:blueskyPassword"
        )
    return BlueskyOutputs.of(args.account)
