"""The notifications of all the bot's accounts.

People mention one account, so that is read every time. Couriers hear from those who answer their
posts ("accept"): one of them is read every second time. Servers count requests by address.
"""

from itertools import cycle

import structlog

from app.bot.accounts import Accounts
from app.bot.inbox import Bot
from app.bot.notifications import SOURCE, Notifications
from app.db import Database
from app.errors import EtceteraError

log = structlog.get_logger(__name__)


class Mailbox:
    """Reads notifications and stores what is new. For one thread."""

    def __init__(self, accounts: Accounts, database: Database) -> None:
        self._accounts = accounts
        self._main = Notifications(accounts.main, database, self.bot)
        self._couriers = [
            Notifications(courier.bluesky, database, self.bot, f"{SOURCE} of {courier.handle}")
            for courier in accounts.couriers
        ]
        self._turns = cycle([turn for courier in self._couriers for turn in (courier, None)])

    def bot(self) -> Bot:
        """Who we are."""
        return self._accounts.bot

    def poll(self) -> int:
        """Stores what is new; returns how many mentions that were. Raises Retry and Reject."""
        return self._main.poll() + self._listen(next(self._turns, None))

    def catch_up(self) -> None:
        """Reads all accounts, after a gap in another source. Raises Retry and Reject."""
        self._main.poll()
        for courier in self._couriers:
            self._listen(courier)

    def _listen(self, courier: Notifications | None) -> int:
        """One courier that is away must not keep the others from hearing."""
        try:
            return courier.poll() if courier else 0
        except EtceteraError as error:
            log.warning("a courier's notifications cannot be read", reason=str(error))
            return 0
