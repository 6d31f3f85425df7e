"""The notifications of all the bot's accounts.

People mention one account, so that is read every time. Couriers hear from those who answer their
posts ("accept"): each time it is another one's turn, so that reading costs two requests at most.
"""

from itertools import cycle

import structlog

from app.bot.accounts import Accounts
from app.bot.inbox import Bot
from app.bot.notifications import SOURCE, Notifications
from app.db import Database
from app.errors import Reject, Retry

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
        self._turns = cycle(self._couriers)

    def bot(self) -> Bot:
        """Who we are."""
        return self._accounts.bot

    def poll(self) -> int:
        """Stores what is new; returns how many mentions that were. Raises Retry and Reject."""
        stored = self._main.poll()
        if self._couriers:
            try:
                stored += next(self._turns).poll()
            except (Retry, Reject) as error:
                # One courier that is away must not keep the others from hearing.
                log.warning("a courier's notifications cannot be read", reason=error.reason)
        return stored

    def catch_up(self) -> None:
        """Reads all accounts, after a gap in another source. Raises Retry and Reject."""
        for notifications in (self._main, *self._couriers):
            notifications.poll()
