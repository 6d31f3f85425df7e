"""The bot's accounts: the one that people mention, and couriers that send replies as it does.

Bluesky lets an account write so much and no more, so from phase 2 on several share the replies,
each with a budget of its own. A person hears from the same account as long as that has points.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from app.bot.bluesky import Bluesky
from app.bot.budget import Budget
from app.bot.inbox import Bot
from app.db import Database
from app.errors import Reject, Retry
from app.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Account:
    """One account: its hands on Bluesky and what it may still write."""

    bluesky: Bluesky
    budget: Budget

    @property
    def handle(self) -> str:
        return self.bluesky.handle


class Accounts:
    """All accounts of the bot; the first is the one that people mention. Thread-safe."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._accounts = {account.handle: account for account in accounts}
        self.main = accounts[0].bluesky

    @classmethod
    def open(cls, settings: Settings, database: Database) -> "Accounts":
        """The accounts that the settings name. Nothing is sent or read before the first use."""
        return cls(
            [
                Account(
                    Bluesky(settings, database, account),
                    Budget(database, settings, account.handle),
                )
                for account in settings.bot_accounts
            ]
        )

    @property
    def bot(self) -> Bot:
        """Who we are. Raises Retry while not even the first account can be logged in."""
        couriers = {}
        for account in self.couriers:
            try:
                couriers[account.bluesky.did] = account.handle
            except (Retry, Reject) as error:
                log.warning("courier unknown", handle=account.handle, reason=error.reason)
        return Bot(self.main.did, self.main.handle, couriers)

    @property
    def couriers(self) -> list[Account]:
        return list(self._accounts.values())[1:]

    def __getitem__(self, handle: str) -> Account:
        """Raises Reject where the account is no longer ours."""
        try:
            return self._accounts[handle]
        except KeyError:
            raise Reject(f"{handle} is not one of the bot's accounts; configure it again") from None

    def home(self, did: str) -> str:
        """The handle of the account that answers a person: few move when an account is added."""
        return max(self._accounts, key=lambda handle: _weight(handle, did))

    def in_turn(self, first: str) -> list[Account]:
        """All accounts, beginning with `first` where it is still ours."""
        return sorted(self._accounts.values(), key=lambda account: account.handle != first)


def _weight(handle: str, did: str) -> bytes:
    """Rendezvous hashing: who is home for whom does not depend on the other accounts."""
    return hashlib.sha256(f"{handle} {did}".encode()).digest()
