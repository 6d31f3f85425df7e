"""Mentions as the bot's own notifications list them: the default source, as nothing is missed.

The list is ordered by a time that authors have a hand in, so a post can appear behind ones that
were read long ago. Hence each poll reads until it meets only posts it knows, and once a minute a
sweep reads an hour back. The stored mentions tell what is new; the server's read mark does not.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.bot.bluesky import Bluesky, is_bot
from app.bot.inbox import Bot, UnreadableError, read_mention, read_time, store
from app.clock import utcnow
from app.db import Database
from app.errors import Reject, Retry
from app.metrics import INGEST_SEEN
from app.models import Mention
from app.repository import cursors

SOURCE = "notifications"
_SWEEP_EVERY = timedelta(minutes=1)
_SWEEP_BACK = timedelta(hours=1)
_MOST_PAGES = 500
_MOST_KNOWN = 20_000
_SEEN_EVERY = timedelta(seconds=30)
_CURSOR_EVERY = timedelta(seconds=10)

log = structlog.get_logger(__name__)


class Notifications:
    """Reads the notifications of one of the bot's accounts. For one thread.

    `source` names the stored cursor; `bot` tells who we are, by default that account alone.
    """

    def __init__(
        self,
        bluesky: Bluesky,
        database: Database,
        bot: Callable[[], Bot] | None = None,
        source: str = SOURCE,
    ) -> None:
        self._bluesky = bluesky
        self._database = database
        self._bot = bot or (lambda: Bot(bluesky.did, bluesky.handle))
        self._source = source
        self._known: OrderedDict[str, None] = OrderedDict()
        never = utcnow() - timedelta(days=1)
        self._swept = self._marked_seen = self._saved = never

    def poll(self) -> int:
        """Stores what is new and returns how many mentions that were. Raises Retry and Reject."""
        now = utcnow()
        bot = self._bot()
        with self._database.read(fresh=True) as conn:
            cursor = cursors.get(conn, self._source)
        position = (cursor and read_time(cursor.position)) or now
        sweep = now - self._swept >= _SWEEP_EVERY
        listed = self._list(position - _SWEEP_BACK if sweep else None)
        fresh = [item for item in listed if item.get("uri") not in self._known]
        newest = max([position, *_times(listed, until=now)])
        # Newest first as listed; sorting keeps the order of equal times.
        found = sorted(filter(None, (_read(item, bot) for item in reversed(fresh))), key=_age)

        stored = 0
        if found or newest > position or now - self._saved >= _CURSOR_EVERY or cursor is None:
            with self._database.transaction() as tx:
                stored = store(tx, found, bot, cursor.updated_at if cursor else now - _SWEEP_BACK)
                cursors.put(tx.conn, self._source, newest.isoformat())
            self._saved = now
        self._remember(fresh)
        self._swept = now if sweep else self._swept
        INGEST_SEEN.set_to_current_time()
        if stored:
            log.info("mentions stored", source=self._source, count=stored)
            self._mark_seen(newest, now)
        return stored

    def _list(self, back_to: datetime | None) -> list[Mapping[str, Any]]:
        """Notifications, newest first: back to a time, or to a page without news."""
        listed: dict[str, Mapping[str, Any]] = {}
        ask: str | None = None
        for _ in range(_MOST_PAGES):
            page = self._bluesky.notifications(ask)
            items = [item for item in _items(page) if isinstance(item, Mapping)]
            before = len(listed)
            listed |= {str(item.get("uri")): item for item in items}
            cursor = page.get("cursor")
            if not cursor or not items:
                break
            times = _times(items, until=utcnow())
            if back_to is not None and times and min(times) < back_to:
                break
            if back_to is None and all(item.get("uri") in self._known for item in items):
                break
            # A page of nothing but what is listed: so many posts of one moment that only the
            # server's own cursor leads on.
            ask = _overlapping(cursor) if len(listed) > before else cursor
        else:
            log.error("notifications cut off", pages=_MOST_PAGES)
        return list(listed.values())

    def _remember(self, items: list[Mapping[str, Any]]) -> None:
        for item in items:
            uri = item.get("uri")
            if isinstance(uri, str):
                self._known[uri] = None
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def _mark_seen(self, newest: datetime, now: datetime) -> None:
        """Tells the server, for people who look at the bot's account; nothing depends on it."""
        if now - self._marked_seen < _SEEN_EVERY:
            return
        self._marked_seen = now
        try:
            self._bluesky.update_seen(newest)
        except (Retry, Reject) as error:
            log.warning("notifications not marked as seen", reason=error.reason)


def _overlapping(cursor: str) -> str:
    """A cursor for a page that begins with the last moment of the page before.

    The server's cursor is a time in milliseconds and the next page begins below it, so that posts
    of the same millisecond would be left out where a page ends between them.
    """
    moment = read_time(cursor)
    if moment is None:
        return cursor
    later = moment + timedelta(milliseconds=1)
    return later.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _items(page: Mapping[str, Any]) -> list[Any]:
    items = page.get("notifications")
    return items if isinstance(items, list) else []


def _times(items: list[Mapping[str, Any]], until: datetime) -> list[datetime]:
    times = (read_time(item.get("indexedAt")) for item in items)
    return [moment for moment in times if moment is not None and moment <= until]


def _read(item: Mapping[str, Any], bot: Bot) -> Mention | None:
    """A notification as a mention, or None where it is not for us to answer."""
    author = item.get("author")
    if not isinstance(author, Mapping) or bot.is_us(author.get("did")):
        return None
    if is_bot(author.get("labels")):
        return None
    try:
        mention = read_mention(
            item.get("uri"),
            item.get("cid"),
            author.get("handle"),
            item.get("record"),
            read_time(item.get("indexedAt")) or utcnow(),
            SOURCE,
        )
    except UnreadableError as error:
        log.warning("notification skipped", uri=str(item.get("uri"))[:200], reason=str(error))
        return None
    if item.get("reason") == "mention":
        return mention
    return mention if bot.wrote((mention.reply_parent or {}).get("uri")) else None


def _age(mention: Mention) -> datetime:
    return mention.indexed_at
