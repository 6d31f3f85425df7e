"""Decides that effects are committed while Bluesky accepts connections and never answers."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from atproto import Session

from app.bot import handlers
from app.bot.bluesky import Bluesky
from app.bot.sessions import cipher
from app.clock import utcnow
from app.db import Database
from app.errors import Retry
from app.repository import sessions
from app.settings import Settings
from tests.integration.bot.conftest import Exchange, FakeBluesky
from tests.integration.jobs.kit import eventually, running

pytestmark = pytest.mark.integration
DID = FakeBluesky.did


SILENCE_SECONDS = 12.0
"""For which Bluesky is waited for: long, so that who does not wait is done before, however slow."""
SOONER = SILENCE_SECONDS - 2


class Hanging:
    """A server that takes connections and says nothing."""

    def __init__(self, listener: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._listener = listener
        self._taken: list[socket.socket] = []
        listener.setblocking(False)

    def connections(self) -> int:
        """How many there have been."""
        with suppress(BlockingIOError):
            while True:
                self._taken.append(self._listener.accept()[0])
        return len(self._taken)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Hanging(listener)


@pytest.fixture
def settings(
    make_settings: Callable[..., Settings], hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setattr("app.bot.sessions._TIMEOUT", SILENCE_SECONDS)
    return make_settings(bluesky_url=hanging.url, worker_threads=2, reply_threads=2)


def keep_session(settings: Settings, database: Database, lasts: timedelta) -> None:
    """A session that another process has stored."""
    claims = {"exp": int((utcnow() + lasts).timestamp()), "sub": DID}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({}, claims)]
    token = b".".join([*parts, b"AA"]).decode().replace("=", "")
    session = Session("etcetera.test", DID, token, token, settings.bluesky_url)
    kept = f"{settings.bluesky_url} {session.encode()}".encode()
    with database.transaction() as tx:
        key = settings.secret_key.get_secret_value()
        sessions.put(tx.conn, "etcetera.test", cipher(key).encrypt(kept))


@pytest.mark.parametrize("lasts", [timedelta(hours=2), -timedelta(days=1)], ids=["good", "expired"])
def test_claims_are_committed_by_a_worker_that_starts_now(
    settings: Settings, database: Database, exchange: Exchange, lasts: timedelta
) -> None:
    keep_session(settings, database, lasts)
    exchange.bluesky.join("friend")
    for n in range(8):
        exchange.post(f"waiting{n}", "@bot claim")
    with running(database, settings, handlers.build(settings, database, exchange.cache)):
        eventually(lambda: exchange.count("claims") == 8, SOONER)
        # Gifts ask Bluesky about the friend; they hold a thread until it is known to be silent.
        for n in range(4):
            exchange.post(f"giver{n}", "@bot gift thing to @friend")
        exchange.make_due()
        eventually(lambda: postponed(database) >= 4, 120)
        for n in range(8):
            exchange.post(f"later{n}", "@bot claim")
            exchange.make_due()
        eventually(lambda: exchange.count("claims") == 16, SOONER)


def postponed(database: Database) -> int:
    """Gifts that wait for Bluesky to come back."""
    with database.read(fresh=True) as conn:
        [row] = conn.execute(
            "SELECT count(*) AS n FROM jobs WHERE kind = 'command' AND last_error LIKE 'Bluesky%'"
        )
    return int(row["n"])


def test_one_caller_waits_and_the_others_know(
    settings: Settings, database: Database, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.bot.sessions._TIMEOUT", 2.0)
    keep_session(settings, database, timedelta(hours=2))
    bluesky = Bluesky(settings, database)
    with pytest.raises(Retry, match="does not answer"):
        bluesky.resolve_handle("alice.test")
    asked = hanging.connections()
    for _ in range(100):
        with pytest.raises(Retry, match="did not answer lately"):
            bluesky.resolve_handle("alice.test")
    assert hanging.connections() == asked > 0
