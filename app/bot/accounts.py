"""The bot's accounts: the one that people mention, and couriers that send replies as it does.

Bluesky lets an account write so much and no more, so from phase 2 on several share the replies,
each with a budget of its own. A person hears from the same account as long as that has points.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from app.bot.bluesky import Bluesky, Limited
from app.bot.budget import Budget, ServerLimit
from app.bot.inbox import Bot
from app.bot.sessions import RefusedError
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
                did = self._did(account)
            except Retry as error:
                log.warning("courier unknown", handle=account.handle, reason=error.reason)
            else:
                if did is not None:
                    couriers[did] = account.handle
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

    def able(self, first: str, did: str) -> Iterator[Account]:
        """As `in_turn`, without couriers that cannot be used now or are blocked by a person.

        Whether the first account may be used is for `consent` to say, which asks as that account.
        """
        for account in self.in_turn(first):
            try:
                if self.barred(account, [did]):
                    continue
            except RefusedError as error:
                log.warning("courier cannot be used", handle=account.handle, reason=error.reason)
                continue
            yield account

    def barred(self, account: Account, dids: Sequence[str]) -> set[str]:
        """Those of some people whom a courier must not write to; of the first account nobody."""
        return set() if account.bluesky is self.main else account.bluesky.barred(dids)

    def another_may(self, refusal: Limited | RefusedError) -> bool:
        """Whether what one account was refused may be allowed to another."""
        if isinstance(refusal, Limited):
            limit = ServerLimit.read(refusal.headers)
            if limit is None or not limit.of_account:
                return False  # a limit of the address, which is the same for all
        return len(self._accounts) > 1

    def _did(self, account: Account) -> str | None:
        """The posts of a courier that is not let in any more are still ours."""
        try:
            return account.bluesky.did
        except RefusedError:
            return self.main.resolve_handle(account.handle)


def _weight(handle: str, did: str) -> bytes:
    """Rendezvous hashing: who is home for whom does not depend on the other accounts."""
    return hashlib.sha256(f"{handle} {did}".encode()).digest()
