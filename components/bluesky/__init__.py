"""Bluesky as the bot meets it: a server, a handle and a password.

Outside of this machine that is an account on a PDS, which no stack creates; on this machine it is a
whole network (PLC, PDS and AppView), so that a stack needs no account anywhere.
"""

from components.base import Component
from components.bluesky.ports import Account, BlueskyArgs, BlueskyOutputs

__all__ = ["Account", "Bluesky", "BlueskyArgs", "BlueskyOutputs"]


class Bluesky(Component[BlueskyArgs, BlueskyOutputs]):
    token = "etcetera:social:Bluesky"  # noqa: S105
    targets = ("local", "aws")
