"""People who go on while something breaks: what worked when, and for how long nothing did."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from uuid import uuid4

import httpx
import psycopg
from atproto.exceptions import AtProtocolError
from pydantic import SecretStr

from app.clock import utcnow
from app.db import Database
from app.domain import accounts, claims
from components.bluesky.people import Person
from tests.faults.ledger import Ledger

WRITERS, READERS = 3, 3
PEOPLE = 12  # each mentions the bot at most ten times a minute
_WRITE_PAUSE = 0.1
_READ_PAUSE = 0.15  # 400 pages a minute from one address; 600 are allowed
_MENTION_PAUSE = 1.0
_PAGE_SECONDS = 10.0
_SEEN_EVERYWHERE = 1.0  # seconds after which a write has to be on the pages
_SECRET = SecretStr("the ledger's own objects, drawn from this")


class Pulse:
    """When something worked. Thread-safe."""

    def __init__(self) -> None:
        self.beats: list[float] = []
        self.errors: Counter[str] = Counter()

    def beat(self) -> None:
        self.beats.append(time.monotonic())

    def silence(self, since: float, until: float) -> float:
        """The longest time without a beat, seconds; it may have begun before `since`."""
        beats = sorted(self.beats)
        before = max((beat for beat in beats if beat <= since), default=since)
        marks = [before, *(beat for beat in beats if since < beat <= until), until]
        return max(later - earlier for earlier, later in pairwise(marks))

    def steady(self, seconds: float) -> bool:
        """Whether it worked all the time lately."""
        now = time.monotonic()
        return self.silence(now - seconds, now) < seconds / 2


class Traffic:
    """Goes on while the block lasts. `posted` has the mentions by URI with the time() of each."""

    def __init__(
        self,
        web_url: str,
        database: Database,
        people: Sequence[Person],
        bot: tuple[str, str],
        ledger: Ledger,
    ) -> None:
        self._web_url = web_url
        self._database = database
        self._people = people
        self._bot = bot
        self._ledger = ledger
        self._done = threading.Event()
        self._unseen: deque[tuple[float, str]] = deque()
        self._run = f"{time.time_ns():x}"
        self._numbers = count()
        self.writes, self.pages = Pulse(), Pulse()
        self.posted: dict[str, float] = {}
        loops: list[Callable[[int], None]] = [self._mention]
        loops += [self._write] * WRITERS + [self._read] * READERS
        self._threads = [
            threading.Thread(target=loop, args=(number,), name=f"traffic-{number}", daemon=True)
            for number, loop in enumerate(loops)
        ]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _write(self, _: int) -> None:
        """Somebody new claims, again and again; acknowledged is what has been committed."""
        while not self._done.wait(_WRITE_PAUSE):
            did = f"did:plc:ledger{self._run}n{next(self._numbers)}"
            try:
                with self._database.transaction() as tx:
                    user = accounts.ensure_user(tx, did, f"{did[8:]}.test", None)
                    outcome = claims.claim(tx, user, None, utcnow(), secret=_SECRET)
            except psycopg.Error as error:
                self.writes.errors[type(error).__name__] += 1
                continue
            object_id = str(outcome.object.id)
            self._ledger.note("claim", did, object_id)
            self.writes.beat()
            self._unseen.append((time.monotonic(), object_id))

    def _read(self, number: int) -> None:
        """Pages that no cache can have, from an address of one's own."""
        with httpx.Client(
            base_url=self._web_url,
            transport=httpx.HTTPTransport(local_address=f"127.9.0.{number + 1}"),
            timeout=_PAGE_SECONDS,
        ) as client:
            while not self._done.wait(_READ_PAUSE):
                object_id, status = self._page()
                try:
                    answer = client.get(f"/objects/{object_id}")
                except httpx.HTTPError as error:
                    self.pages.errors[type(error).__name__] += 1
                    continue
                if answer.status_code == status:
                    self.pages.beat()
                else:
                    self.pages.errors[str(answer.status_code)] += 1

    def _page(self) -> tuple[str, int]:
        """An object nobody has looked at, or one that is not there, which takes a look-up too."""
        try:
            at, object_id = self._unseen.popleft()
        except IndexError:
            return str(uuid4()), 404
        if at < time.monotonic() - _SEEN_EVERYWHERE:
            return object_id, 200
        self._unseen.appendleft((at, object_id))
        return str(uuid4()), 404

    def _mention(self, _: int) -> None:
        """People mention the bot in turn: claims, and requests for help."""
        for number in count():
            if self._done.wait(_MENTION_PAUSE):
                return
            person = self._people[number % len(self._people)]
            try:
                post = person.mention(*self._bot, "claim" if number % 2 else "help")
            except (AtProtocolError, httpx.HTTPError):
                continue  # the network is not what is tried here
            self.posted[post.uri] = time.time()
