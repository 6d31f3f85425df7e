"""The yardstick for the bot: the SQL of a claim, and nothing around it.

The statements are those the app itself sends. It is run once for each claim on a connection that
takes notes and rolls back; the loop that is timed then only sends the notes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg.rows import DictRow, dict_row

from app.bot import inbox
from app.bot.accounts import Account, Accounts
from app.bot.handlers import CommandHandler
from app.cache import Cache
from app.clock import utcnow
from app.db import Connection, Transaction
from app.jobs.queries import SQL as QUEUE
from app.models import Job, JobState, Mention, Priority
from app.settings import Settings
from tests.bench import mentions

Statement = tuple[Any, Any]
Script = list[Statement]
"""What one claim sends: from storing the mention to storing the reply."""


class _Notes(psycopg.Cursor[DictRow]):
    """A cursor that remembers what went through it, on behalf of its connection."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        taken: Script = self.connection.notes  # type: ignore[attr-defined]
        taken.append((query, params))
        return super().execute(query, params, **options)


class _NotingConnection(psycopg.Connection[DictRow]):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.notes: Script = []
        self.cursor_factory = _Notes


class _OneConnection:
    """As much of a Database as a handler reads through."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    @contextmanager
    def read(self, *, fresh: bool = False) -> Iterator[Connection]:
        del fresh
        yield self._conn


class _Account:
    """As much of Bluesky as a claim needs: who the bot is."""

    did = mentions.BOT.did
    handle = mentions.BOT.handle


def record(database_url: str, arrived: Sequence[Mention]) -> list[Script]:
    """The statements of each mention's claim, without the queue's. Changes nothing."""
    settings = Settings.model_validate(
        {
            "phase": 0,
            "database_url": database_url,
            "public_url": "http://localhost",
            "secret_key": "k" * 64,
        }
    )
    queue = {QUEUE.put.sql}
    with _NotingConnection.connect(database_url, row_factory=dict_row) as conn:
        assert isinstance(conn, _NotingConnection)
        handler = CommandHandler(
            settings,
            _OneConnection(conn),  # type: ignore[arg-type]
            Accounts([Account(_Account(), None)]),  # type: ignore[arg-type]
            Cache(None),
        )
        scripts = []
        for mention in arrived:
            with conn.transaction(force_rollback=True):
                conn.notes = []
                tx = Transaction(conn)
                inbox.store(tx, [mention], mentions.BOT, utcnow())
                job = _job(mention)
                handler.apply(tx, job, handler.prepare(job))
            scripts.append([note for note in conn.notes if note[0] not in queue])
    return scripts


def replay(database_url: str, scripts: Sequence[Script], connections: int) -> float:
    """Sends each script in a transaction of its own; claims per second.

    Each connection has a thread and its share of the scripts.
    """
    ready = threading.Barrier(connections + 1)

    def work(share: Sequence[Script]) -> None:
        with mentions.connect(database_url) as conn:
            ready.wait()
            for script in share:
                with conn.transaction():
                    for query, params in script:
                        conn.execute(query, params)

    with ThreadPoolExecutor(connections) as pool:
        shares = [pool.submit(work, scripts[n::connections]) for n in range(connections)]
        ready.wait()
        begin = time.perf_counter()
        for share in shares:
            share.result()
        return len(scripts) / (time.perf_counter() - begin)


def _job(mention: Mention) -> Job:
    now = utcnow()
    return Job(
        id=0,
        kind="command",
        key=mention.uri,
        payload={},
        priority=Priority.HIGH,
        state=JobState.LEASED,
        run_at=now,
        attempts=1,
        leased_by="bench",
        lease_until=now,
        dispatched_at=None,
        last_error=None,
        created_at=now,
        done_at=None,
    )
