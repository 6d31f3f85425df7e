"""People with accounts who post on the stack's Bluesky network; some only receive gifts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from random import Random

import httpx
from atproto.exceptions import AtProtocolError

from components.bluesky.people import Person
from tests.load.plan import Event
from tests.load.sights import Sights

RECIPIENTS = 5
MOST_PEOPLE = 60  # signing up is the dearest thing that a PDS does
PER_PERSON = 4.0  # mentions a minute; the bot asks people to slow down at ten
_POSTING = 4  # at a time


@dataclass(frozen=True)
class Posted:
    """A mention on the network. `due`: the time it should have been posted at, as time()."""

    uri: str
    what: str
    due: float


class People:
    """Accounts are made on entering, which takes a while: a few a second."""

    def __init__(self, url: str, bot_handle: str, per_minute: float, seed: int) -> None:
        self._url = url
        self._bot = bot_handle
        self._seed = seed
        self._count = min(MOST_PEOPLE, round(per_minute / PER_PERSON) + 1) if per_minute else 0
        self._pool = ThreadPoolExecutor(_POSTING, thread_name_prefix="people")
        self._turn = count()
        self._locks: list[threading.Lock] = []
        self._people: Sequence[Person] = ()
        self.recipients: Sequence[Person] = ()
        self.bot_did = ""
        self.posted: list[Posted] = []
        self.errors: Counter[str] = Counter()

    def __enter__(self) -> People:
        names = [f"taker-{self._seed}-{n}" for n in range(RECIPIENTS)]
        names += [f"load-{self._seed}-{n}" for n in range(self._count)]
        everybody = list(self._pool.map(self._join, names))
        self.recipients, self._people = everybody[:RECIPIENTS], everybody[RECIPIENTS:]
        self._locks = [threading.Lock() for _ in self._people]
        self.bot_did = self.recipients[0].resolve(self._bot)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for person in [*self.recipients, *self._people]:
            person.close()

    def run(self, events: Sequence[Event], began: float, sights: Sights) -> None:
        """Posts each mention at its time; returns when the last is posted. `began` as time()."""
        waiting: list[Future[None]] = []
        for event in events:
            time.sleep(max(0.0, began + event.at - time.time()))
            waiting.append(self._pool.submit(self._post, event, began + event.at, sights))
        for future in waiting:
            future.result()

    def _post(self, event: Event, due: float, sights: Sights) -> None:
        number = next(self._turn) % len(self._people)
        person, chance = self._people[number], Random(f"{self._seed}/{due}")
        taker = chance.choice(self.recipients)
        known = {self._bot: self.bot_did, taker.handle: taker.did}
        text = f"@{self._bot} {self._words(event.what, person, taker, sights)}"
        try:
            with self._locks[number]:
                post = person.post(text, known=known)
        except (AtProtocolError, httpx.HTTPError) as error:
            self.errors[f"post: {type(error).__name__}"] += 1
            return
        self.posted.append(Posted(post.uri, event.what, due))

    def _words(self, what: str, person: Person, taker: Person, sights: Sights) -> str:
        if what != "gift":
            return what
        mine = next((thing for thing in sights.things if thing.owner_did == person.did), None)
        return f"give {mine.name if mine else 'it'} to @{taker.handle}"

    def _join(self, name: str) -> Person:
        return Person.join(self._url, f"{name}.test", f"password of {name}")
