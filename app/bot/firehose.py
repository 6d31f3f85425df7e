"""Mentions from a firehose: the other source, which also tells of deleted posts.

A reader thread decodes events into a bounded queue; the writer stores what matters together with
the cursor. A server drops readers that are slow, so the reader does nothing else. Whatever the
firehose cannot give back after a gap comes from the notifications.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from atproto import CAR, FirehoseSubscribeReposClient, models, parse_subscribe_repos_message
from psycopg_pool import PoolTimeout

from app.bot.bluesky import POST
from app.bot.facets import read_facets
from app.bot.inbox import Bot, UnreadableError, read_mention, read_time, store
from app.clock import utcnow
from app.db import Database
from app.errors import Reject, Retry
from app.health import PULSE
from app.metrics import INGEST_SEEN
from app.models import Mention
from app.repository import cursors, mentions
from app.settings import Settings

SOURCE = "firehose"
_QUEUE_SIZE = 1_000
_BATCH = 200
_IDLE_SECONDS = 0.2
_CURSOR_SECONDS = 5.0
_ALIVE_SECONDS = 90.0

log = structlog.get_logger(__name__)


@dataclass
class Event:
    """What one event of the firehose means to us; mostly that it was read."""

    seq: int | None
    mentions: list[Mention] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    gap: bool = False


class Firehose:
    """Subscribes to a PDS or relay and stores the mentions in it."""

    def __init__(
        self,
        settings: Settings,
        bot: Callable[[], Bot],
        database: Database,
        catch_up: Callable[[], object],
    ) -> None:
        url = (settings.bluesky_url or "").replace("http", "ws", 1)
        self._address = f"{url}/xrpc"
        self._bot = bot
        self._database = database
        self._catch_up = catch_up

    def run(self, stop: threading.Event, leads: Callable[[], bool]) -> None:
        """Reads until `stop`, until the lead is lost or until the connection is refused."""
        bot = self._bot()
        with self._database.read(fresh=True) as conn:
            cursor = cursors.get(conn, SOURCE)
        self._fill_gap()
        reader = Reader(self._address, bot, int(cursor.position) if cursor else None)
        reader.start()
        try:
            self._write(reader, bot, stop, leads)
        finally:
            reader.stop()
        if reader.future_cursor:
            log.warning("the firehose begins anew; its cursor is dropped")
            with self._database.transaction() as tx:
                cursors.drop(tx.conn, SOURCE)

    def _write(
        self, reader: "Reader", bot: Bot, stop: threading.Event, leads: Callable[[], bool]
    ) -> None:
        saved = 0.0
        batch: list[Event] = []
        while not stop.is_set() and leads():
            PULSE.beat("ingest", within=_ALIVE_SECONDS)
            if not batch:
                batch = reader.batch()
                if not batch and not reader.alive:
                    return
            if any(event.gap for event in batch):
                self._fill_gap()
            found = [mention for event in batch for mention in event.mentions]
            deleted = [uri for event in batch for uri in event.deleted]
            seq = max((event.seq for event in batch if event.seq is not None), default=None)
            INGEST_SEEN.set_to_current_time()
            if found or deleted or (seq and time.monotonic() - saved > _CURSOR_SECONDS):
                try:
                    self._store(found, deleted, seq, bot)
                except (psycopg.OperationalError, PoolTimeout) as error:
                    # The queue fills up meanwhile and the reader waits: nothing is lost.
                    log.warning("database is lost; waiting", error=str(error).strip())
                    stop.wait(1.0)
                    continue
                saved = time.monotonic()
            batch = []

    def _store(self, found: list[Mention], deleted: list[str], seq: int | None, bot: Bot) -> None:
        with self._database.transaction() as tx:
            cursor = cursors.get(tx.conn, SOURCE)
            stored = store(tx, found, bot, cursor.updated_at if cursor else utcnow())
            for uri in deleted:
                mentions.mark_deleted(tx.conn, uri)
            if seq is not None:
                cursors.put(tx.conn, SOURCE, str(seq))
        if stored:
            log.info("mentions stored", source=SOURCE, count=stored)

    def _fill_gap(self) -> None:
        """Takes from the notifications what the firehose may not repeat."""
        try:
            self._catch_up()
        except (Retry, Reject) as error:
            log.warning("gap not filled from notifications", reason=error.reason)


class Reader:
    """The thread that decodes events into the queue."""

    def __init__(self, address: str, bot: Bot, cursor: int | None) -> None:
        self._bot = bot
        self._queue: queue.Queue[Event] = queue.Queue(_QUEUE_SIZE)
        self._stopped = threading.Event()
        params = {} if cursor is None else {"cursor": cursor}
        self._client = FirehoseSubscribeReposClient(params, base_uri=address)
        self._thread = threading.Thread(target=self._run, name="firehose", daemon=True)
        self.future_cursor = False

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._client.stop()
        self._thread.join(timeout=5)

    def batch(self) -> list[Event]:
        """The events that are there, after a short wait for the first."""
        events: list[Event] = []
        try:
            events.append(self._queue.get(timeout=_IDLE_SECONDS))
            while len(events) < _BATCH:
                events.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return events

    def _run(self) -> None:
        try:
            self._client.start(self._on_message, self._on_error)
        except Exception as error:
            self.future_cursor = "FutureCursor" in repr(error) or "FutureCursor" in str(error)
            log.warning("firehose closed", error=repr(error))

    def _on_message(self, frame: Any) -> None:
        event = read_event(frame, self._bot)
        while not self._stopped.is_set():
            try:
                self._queue.put(event, timeout=1.0)
                break
            except queue.Full:
                continue
        if event.seq is not None:
            self._client.update_params({"cursor": event.seq})

    def _on_error(self, error: BaseException) -> None:
        log.warning("event skipped", error=repr(error)[:500])


def read_event(frame: Any, bot: Bot) -> Event:
    """Decodes an event; raises whatever the decoders raise on one that is malformed."""
    message = parse_subscribe_repos_message(frame)
    if isinstance(message, models.ComAtprotoSyncSubscribeRepos.Info):
        return Event(None, gap=message.name == "OutdatedCursor")
    if not isinstance(message, models.ComAtprotoSyncSubscribeRepos.Commit):
        return Event(getattr(message, "seq", None))
    event = Event(message.seq)
    ops = [op for op in message.ops if op.path.startswith(f"{POST}/")]
    event.deleted = [f"at://{message.repo}/{op.path}" for op in ops if op.action == "delete"]
    created = [op for op in ops if op.action == "create" and op.cid is not None]
    if created and not bot.is_us(message.repo):
        blocks = CAR.from_bytes(message.blocks).blocks
        for op in created:
            uri, record = f"at://{message.repo}/{op.path}", blocks.get(op.cid)
            event.mentions += _read(uri, str(op.cid), record, message.time, bot)
    return event


def _read(uri: str, cid: str, record: object, at: object, bot: Bot) -> Iterator[Mention]:
    """The post as a mention, where it mentions the bot or answers one of its posts."""
    if not isinstance(record, Mapping) or not _concerns(record, bot):
        return
    try:
        yield read_mention(uri, cid, None, record, read_time(at) or utcnow(), SOURCE)
    except UnreadableError as error:
        log.warning("post skipped", uri=uri[:200], reason=str(error))


def _concerns(record: Mapping[str, Any], bot: Bot) -> bool:
    text, reply = record.get("text"), record.get("reply")
    parent = reply.get("parent") if isinstance(reply, Mapping) else None
    if isinstance(parent, Mapping) and bot.wrote(parent.get("uri")):
        return True
    if not isinstance(text, str):
        return False
    facets = read_facets(text.encode("utf-8", "replace"), record.get("facets"))
    return any(bot.is_us(facet.did) for facet in facets)
