"""Cache-aside over Redis, for what the site shows: never wrong for long, never in the way.

Every value belongs to one scope: an object, a user, or the world. A scope has a version, which a
commit replaces; a value carries the version it was read under and is good while the two agree.
So a reader that was still loading when the commit happened cannot store what it saw as current,
and there is no list of keys to delete. A scope's keys share a hash tag and no command touches two
scopes, so the same code runs on a cluster.

A version says which position in the database the commit left behind (see app/db/servers.py), so
that the next load reads from a server that has got there: what is stored under a version is never
older than the commit that made it, wherever it was read.

Loads nest: a page is a value made of values. What it is made of within its own scope is read from
the database, or noted, so that a page is never taken for newer than what stands on it.

Redis is disposable: when it does not answer, callers go straight to the database and only a
background thread tries it again. CACHE_SECONDS bounds how stale anything can be, whatever is lost:
the commit of a process that was killed before it could tell, or a name that changed while an object
changed hands.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import psycopg
import structlog
from dogpile.lock import Lock, NeedRegenerationException
from pydantic import TypeAdapter, ValidationError

from app.db import ANY, LATEST, PRIMARY
from app.errors import Unavailable
from app.metrics import CACHE_REQUESTS, REDIS_FAILURES
from app.redis import ERRORS, Client, answers, connect
from app.repository import load as queries

if TYPE_CHECKING:
    from app.db import Transaction
    from app.settings import Settings

T = TypeVar("T")
log = structlog.get_logger(__name__)
SQL = queries("cache")

PREFIX = "ee:2:"  # the number changes with the layout of entries
WORLD = "world"
# Redis answers within a millisecond; a slower one is treated as lost rather than waited for.
TIMEOUT_SECONDS = 0.3
PROBE_SECONDS = 0.5
# Who finds no value at all waits this long for somebody else's load, then loads it too.
WAIT_SECONDS = 1.0
LOCK_SECONDS = 5.0
MIXED = ""  # the version of what was made of parts of several: never the current one
BUMPS = 100  # sent at a time; of a node that hangs, each is given up by itself
BEYOND_SECONDS = 300
# A value outdated for longer is shown to nobody, also not to who meets somebody else's load.
GRACE_SECONDS = 1.0
# Where a commit's position is not known, the primary is asked until replicas have surely caught up.
FRESH_SECONDS = 5.0

# Scripts of one key each, which is fine on a cluster.
# A new version, with the furthest position so far: of two commits the later may be told first. 0 is
# a position that is not known.
BUMP = """
local known = string.match(redis.call('get', KEYS[1]) or '', '@(%d+)$') or '0'
local position = ARGV[2]
if position ~= '0' and tonumber(position) < tonumber(known) then position = known end
return redis.call('set', KEYS[1], ARGV[1] .. '@' .. position, 'EX', ARGV[3])
"""
# Deletes a lock only if it is still ours.
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


def object_scope(object_id: UUID) -> str:
    return f"object:{object_id}"


def user_scope(did: str) -> str:
    return f"user:{did}"


def handle_scope(handle: str) -> str:
    return f"handle:{handle.lower()}"


def _never(_: object) -> None:
    return None


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A sort of cached value: its name in metrics, and how it is stored as JSON."""

    name: str
    adapter: TypeAdapter[T]
    seconds: float | None = None
    """How long a value is good for, where CACHE_SECONDS is not right."""
    pause: float = 0
    """A value younger than this is served although its scope has changed, so that the database's
    load does not follow the rate of claims."""
    ends: Callable[[T], datetime | None] = _never
    """When a value stops being true by itself, as a page with an offer does when that runs out."""


@dataclass(frozen=True)
class Entry:
    """A value as stored: its scope's version when it was read, when that was, and the value."""

    version: str
    created: float  # seconds since the epoch
    body: str

    def encode(self) -> str:
        return f"{self.version}|{self.created:.3f}|{self.body}"

    @classmethod
    def decode(cls, text: str) -> Entry:
        version, created, body = text.split("|", 2)
        return cls(version, float(created), body)


class Lost(Unavailable):
    """Redis does not answer (now, or since a moment ago)."""


class Link:
    """A connection to Redis that gives up at once, and stays given up until Redis answers again."""

    def __init__(self, url: str, on_return: Callable[[], None]) -> None:
        self.returned_at = 0.0
        self._url = url
        self._client: Client | None = None
        self._on_return = on_return
        self._lost = threading.Event()
        self._closed = threading.Event()
        self._guard = threading.Lock()

    @property
    def up(self) -> bool:
        return not self._lost.is_set()

    @contextlib.contextmanager
    def using(self) -> Iterator[Any]:
        """The client; raises Lost when Redis is away or goes away meanwhile."""
        if self._lost.is_set():
            raise Lost
        try:
            yield self._connected()
        except ERRORS as error:
            self._give_up(error)
            raise Lost from error

    def ping(self) -> bool:
        try:
            with self.using() as client:
                return answers(client)
        except Lost:
            return False

    def close(self) -> None:
        self._closed.set()
        if self._client is not None:
            with contextlib.suppress(*ERRORS):
                self._client.close()

    def _connected(self) -> Client:
        with self._guard:
            if self._client is None:
                self._client = connect(self._url, timeout=TIMEOUT_SECONDS)
            return self._client

    def _give_up(self, error: Exception) -> None:
        with self._guard:
            if self._lost.is_set():
                return
            self._lost.set()
        REDIS_FAILURES.labels(user="cache").inc()
        log.warning("cache lost, going to the database", error=str(error))
        threading.Thread(target=self._probe, name="cache-probe", daemon=True).start()

    def _probe(self) -> None:
        while not self._closed.wait(PROBE_SECONDS):
            try:
                answers(self._connected())
            except ERRORS:
                continue
            # Bumps of other processes may have been lost in the meantime: nothing older is trusted.
            self.returned_at = time.time()
            self._lost.clear()
            log.info("cache is back")
            self._on_return()
            return


class Mutex:
    """The lock around one load, across processes. Losing Redis means loading without it."""

    def __init__(self, link: Link, key: str) -> None:
        self._link = link
        self._key = key
        self._token = secrets.token_hex(8)
        self._held = False

    def acquire(self, wait: bool = True) -> bool:
        deadline = time.monotonic() + WAIT_SECONDS
        try:
            while True:
                with self._link.using() as client:
                    self._held = bool(
                        client.set(self._key, self._token, nx=True, px=int(LOCK_SECONDS * 1000))
                    )
                if self._held or not wait or time.monotonic() > deadline:
                    return self._held
                time.sleep(0.01)
        except Lost:
            return False

    def release(self) -> None:
        if self._held:
            with contextlib.suppress(Lost), self._link.using() as client:
                client.eval(RELEASE, 1, self._key, self._token)


class Cache:
    """What the site reads through and the bot's handlers invalidate. One per process; thread-safe.

    Without a URL it is the null cache: `get` loads, invalidation does nothing.
    """

    def __init__(self, url: str | None, seconds: float = 600) -> None:
        self.seconds = seconds
        self._missed: dict[str, int] = {}
        self._missed_guard = threading.Lock()
        self._link = Link(url, on_return=self._bump_missed) if url else None

    @classmethod
    def open(cls, settings: Settings) -> Cache:
        """The cache of these settings. Never fails because Redis is away."""
        url = settings.redis_url
        return cls(url.get_secret_value() if url else None, settings.cache_seconds)

    def close(self) -> None:
        if self._link:
            self._link.close()

    @property
    def configured(self) -> bool:
        return self._link is not None

    def ping(self) -> bool:
        """Whether Redis answers. False for the null cache."""
        return self._link is not None and self._link.ping()

    # -- reading ---------------------------------------------------------------------------------

    def get(self, kind: Kind[T], scope: str, key: str, load: Callable[[int], T]) -> T:
        """The value under `key`, loaded by `load(after)` where the cache cannot give it.

        Counted once, as a hit, a miss or stale (the previous value, which is a hit as well), or as
        bypass while Redis is lost. Gets within a load are part of what is loaded and count for
        nothing: a page served whole is one hit, one drawn anew is one miss, whatever of it was
        cached.

        `after` is for `Database.read`: the position of the scope's last change. While Redis is lost
        nobody knows of changes, and it is LATEST.
        Of many callers one loads. The others get the previous value; where there is none, they
        wait for it. What `load` raises goes to the caller, unless it is a lost database and there
        is a previous value.
        """
        if self._link is None:
            return load(LATEST)
        around = _LOADING.get()
        if around and around.covers(kind, scope):
            return load(around.after)
        lookup = _Lookup(self._link, kind, scope, key, load, self.seconds)
        try:
            value, result = lookup.run()
        except Lost:
            value, result = load(LATEST), "bypass"
        if around:
            around.note(lookup)
        else:
            CACHE_REQUESTS.labels(region=kind.name, result=result).inc()
        return value

    # -- invalidation ----------------------------------------------------------------------------

    def claimed(self, tx: Transaction, *, did: str, object_id: UUID) -> None:
        self._after(tx, user_scope(did), object_scope(object_id), WORLD)

    def offered(
        self, tx: Transaction, *, giver_did: str, recipient_did: str, object_id: UUID
    ) -> None:
        """A gift was offered, or an offer ended without the object changing hands."""
        self._after(tx, user_scope(giver_did), user_scope(recipient_did), object_scope(object_id))

    def gifted(
        self, tx: Transaction, *, giver_did: str, recipient_did: str, object_id: UUID
    ) -> None:
        """The object changed hands."""
        self._after(
            tx, user_scope(giver_did), user_scope(recipient_did), object_scope(object_id), WORLD
        )

    def account_changed(self, tx: Transaction, *, did: str) -> None:
        """New user, new name, opt-out or opt-in, and with it all that shows the name.

        Called when a new name is in the table, but before an opt-out ends open offers.
        """
        if self._link:
            naming = [f"{row['scope']}:{row['key']}" for row in SQL.naming(tx.conn, did=did)]
            self._after(tx, user_scope(did), WORLD, *naming)

    def _after(self, tx: Transaction, *scopes: str) -> None:
        if self._link:
            tx.on_commit_at(lambda position: self._bump(dict.fromkeys(scopes, position)))

    def _bump(self, changed: Mapping[str, int]) -> None:
        """Gives scopes a new version, each with the position of what changed it."""
        assert self._link  # noqa: S101  only reached with one
        scopes = list(changed)
        for first in range(0, len(scopes), BUMPS):
            some = scopes[first : first + BUMPS]
            try:
                with self._link.using() as client:
                    # A cluster's client sends each command to the node that has its key.
                    pipe = client.pipeline(transaction=False)
                    for scope in some:
                        # Outlives the values of a scope that changes, which is all that is needed.
                        # As a plain command: redis-py refuses `eval` in a cluster's pipeline.
                        bump = (_version_key(scope), _new_version(), changed[scope], 86_400)
                        pipe.execute_command("EVAL", BUMP, 1, *bump)
                    pipe.execute()
            except Lost:
                with self._missed_guard:
                    for scope in some:
                        self._missed[scope] = max(changed[scope], self._missed.get(scope, ANY))

    def _bump_missed(self) -> None:
        with self._missed_guard:
            missed, self._missed = self._missed, {}
        self._bump(missed)


class _Lookup(Generic[T]):
    """One `Cache.get`: dogpile decides who loads, this says what is there and how to load it."""

    def __init__(
        self,
        link: Link,
        kind: Kind[T],
        scope: str,
        key: str,
        load: Callable[[int], T],
        seconds: float,
    ) -> None:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self.link, self.kind, self.scope, self.load = link, kind, scope, load
        self.seconds = seconds if kind.seconds is None else kind.seconds
        self.version_key = _version_key(scope)
        self.value_key = f"{PREFIX}{{{scope}}}:{kind.name}:{digest}"
        self.version = "0"
        self.served = MIXED
        """The version under which the value given out was read."""
        self.parts: set[str] = set()
        """The versions of this scope under which what it is made of was read."""
        self.previous: T | None = None
        self.result = "miss"

    def run(self) -> tuple[T, str]:
        mutex = Mutex(self.link, f"{self.value_key}:lock")
        with Lock(  # type: ignore[no-untyped-call]
            mutex, self._create, self._existing, self.seconds
        ) as value:
            return value, self.result

    # -- around other lookups --------------------------------------------------------------------

    @property
    def after(self) -> int:
        """How far a server must be to show what made this version."""
        if position := _position(self.version):
            return position
        return PRIMARY if time.time() - _changed_at(self.version) < FRESH_SECONDS else ANY

    def covers(self, kind: Kind[Any], scope: str) -> bool:
        """Whether a part need not be cached by itself, since this value has all it depends on."""
        return scope == self.scope and kind.pause <= self.kind.pause

    def note(self, part: _Lookup[Any]) -> None:
        if part.scope == self.scope:
            self.parts.add(part.served)

    # -- what dogpile asks -----------------------------------------------------------------------

    def _existing(self) -> tuple[T, float]:
        """The stored value and when it was made; the distant past if it is no longer current."""
        with self.link.using() as client:
            pipe = client.pipeline(transaction=False)
            pipe.get(self.version_key)
            pipe.get(self.value_key)
            version, raw = pipe.execute()
        self.version = version or "0"
        if raw is None:
            raise NeedRegenerationException
        entry = Entry.decode(raw)
        try:
            value = self.kind.adapter.validate_json(entry.body)
        except ValidationError:  # written by another release
            raise NeedRegenerationException from None
        self.previous, self.served = value, entry.version
        now = time.time()
        age = now - entry.created
        current = entry.version == self.version or age < self.kind.pause
        if not current and now - _changed_at(self.version) > GRACE_SECONDS:
            raise NeedRegenerationException
        good = current and entry.created > self.link.returned_at and not self._ended(value, now)
        self.result = "hit" if good and age <= self.seconds else "stale"
        return value, entry.created if good else 1.0

    def _ended(self, value: T, now: float) -> bool:
        ends = self.kind.ends(value)
        return ends is not None and ends.timestamp() <= now

    def _create(self) -> tuple[T, float]:
        if self.result == "stale":
            # The lock may have come free because somebody has just loaded it.
            with contextlib.suppress(NeedRegenerationException):
                value, created = self._existing()
                if self.result == "hit":
                    return value, created
        self.result = "miss"
        created = time.time()
        try:
            value = self._load()
        except psycopg.OperationalError:
            if self.previous is None:
                raise
            # While a database fails over, what was true a moment ago is the better answer.
            self.result = "stale"
            return self.previous, created
        except Exception:
            if self.previous is not None:  # what is gone is shown to nobody any more
                with contextlib.suppress(Lost), self.link.using() as client:
                    client.delete(self.value_key)
            raise
        self.served = self.version if self.parts <= {self.version} else MIXED
        entry = Entry(self.served, created, self.kind.adapter.dump_json(value).decode())
        with contextlib.suppress(Lost), self.link.using() as client:
            # Kept beyond its time, to be served while somebody loads the next one.
            kept = self.seconds + min(3 * self.seconds, BEYOND_SECONDS)
            client.set(self.value_key, entry.encode(), ex=int(kept) + 1)
        return value, created

    def _load(self) -> T:
        token = _LOADING.set(self)
        try:
            return self.load(self.after)
        finally:
            _LOADING.reset(token)


# The lookup whose value is being loaded by this thread.
_LOADING: ContextVar[_Lookup[Any] | None] = ContextVar("loading", default=None)


def _version_key(scope: str) -> str:
    return f"{PREFIX}{{{scope}}}:version"


def _new_version() -> str:
    return f"{time.time():.3f}-{secrets.token_hex(4)}"


def _position(version: str) -> int:
    """ANY where it is not known."""
    return int(version.partition("@")[2] or ANY)


def _changed_at(version: str) -> float:
    """Seconds since the epoch; long ago for a scope that nobody changed."""
    return float(version.partition("-")[0])
