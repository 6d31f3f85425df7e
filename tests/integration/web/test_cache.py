"""Decides that the cache is never wrong for long and never in the way: one load for many readers,
changes visible after their commit and only then, and a lost Redis that nobody notices."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from pydantic import TypeAdapter

from app.cache import WORLD, Cache, Kind, object_scope, user_scope
from app.clock import utcnow
from app.db import ANY, PRIMARY, Database
from app.domain import accounts
from app.settings import Settings
from app.web import create_app, pages
from tests.integration.web.world import World
from tests.servers import ValkeyServer, valkey_server

pytestmark = pytest.mark.integration

NUMBER = Kind("number", TypeAdapter(int))
THING = uuid4()


class Source:
    """What is behind the cache: counts how often it is asked."""

    def __init__(self, seconds: float = 0) -> None:
        self.value = 0
        self.loads = 0
        self.after: list[int] = []
        self._seconds = seconds
        self._guard = threading.Lock()

    def load(self, after: int) -> int:
        with self._guard:
            self.loads += 1
            self.after.append(after)
        value = self.value
        time.sleep(self._seconds)
        return value


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey that may be hurt."""
    with valkey_server() as server:
        yield server


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is decided by how long a load takes on a busy machine."""
    monkeypatch.setattr("app.cache.WAIT_SECONDS", 60.0)
    monkeypatch.setattr("app.cache.LOCK_SECONDS", 60.0)
    monkeypatch.setattr("app.cache.FRESH_SECONDS", 60.0)


def losses() -> float:
    """How often the cache has found out that Redis does not answer."""
    return REGISTRY.get_sample_value("etcetera_redis_failures_total", {"user": "cache"}) or 0


def eventually(check: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.02)
    return False


def test_a_value_is_loaded_once_and_then_remembered(cache: Cache) -> None:
    source = Source()
    assert [cache.get(NUMBER, WORLD, "n", source.load) for _ in range(5)] == [0] * 5
    assert source.loads == 1


def test_on_a_cold_key_many_readers_make_one_load(redis_url: str) -> None:
    source = Source(seconds=0.2)
    processes = [Cache(redis_url) for _ in range(4)]  # as many connections as processes have
    with ThreadPoolExecutor(24) as readers:
        jobs = [
            readers.submit(processes[index % 4].get, NUMBER, WORLD, "n", source.load)
            for index in range(24)
        ]
        assert {job.result() for job in jobs} == {0}
    assert source.loads == 1


def test_on_an_outdated_key_one_loads_and_nobody_else_waits(
    cache: Cache, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cache.GRACE_SECONDS", 60.0)
    source, go_on = Source(), threading.Event()
    cache.get(NUMBER, object_scope(THING), "n", source.load)
    source.value = 1
    with database.transaction() as tx:
        cache.claimed(tx, did="did:plc:otto", object_id=THING)

    def load(after: int) -> int:
        go_on.wait(120)
        return source.load(after)

    with ThreadPoolExecutor(8) as readers:
        jobs = [readers.submit(cache.get, NUMBER, object_scope(THING), "n", load) for _ in range(8)]
        # All others are answered before the load ends.
        others_answered = eventually(lambda: sum(job.done() for job in jobs) == 7, seconds=30)
        go_on.set()
        assert others_answered
        assert sorted(job.result() for job in jobs) == [0] * 7 + [1]
    assert source.loads == 2
    assert cache.get(NUMBER, object_scope(THING), "n", source.load) == 1


@pytest.mark.parametrize(
    ("event", "scopes"),
    [
        ("claimed", {object_scope(THING), user_scope("did:plc:a"), WORLD}),
        ("offered", {object_scope(THING), user_scope("did:plc:a"), user_scope("did:plc:b")}),
        ("gifted", {object_scope(THING), user_scope("did:plc:a"), user_scope("did:plc:b"), WORLD}),
        ("account_changed", {user_scope("did:plc:a"), WORLD}),
    ],
)
def test_an_event_outdates_what_shows_it_and_nothing_else(
    cache: Cache, database: Database, event: str, scopes: set[str]
) -> None:
    everything = [object_scope(THING), user_scope("did:plc:a"), user_scope("did:plc:b"), WORLD]
    everything += [object_scope(uuid4()), user_scope("did:plc:c")]
    sources = {scope: Source() for scope in everything}
    for scope, source in sources.items():
        cache.get(NUMBER, scope, "n", source.load)
    with database.transaction() as tx:
        if event == "claimed":
            cache.claimed(tx, did="did:plc:a", object_id=THING)
        elif event == "account_changed":
            cache.account_changed(tx, did="did:plc:a")
        else:
            getattr(cache, event)(
                tx, giver_did="did:plc:a", recipient_did="did:plc:b", object_id=THING
            )
    for scope, source in sources.items():
        cache.get(NUMBER, scope, "n", source.load)
    assert {scope for scope, source in sources.items() if source.loads == 2} == scopes


def test_a_rollback_outdates_nothing(cache: Cache, database: Database) -> None:
    source = Source()
    cache.get(NUMBER, WORLD, "n", source.load)
    with contextlib.suppress(ZeroDivisionError), database.transaction() as tx:
        cache.claimed(tx, did="did:plc:a", object_id=THING)
        _ = 1 / 0
    cache.get(NUMBER, WORLD, "n", source.load)
    assert source.loads == 1


def test_a_load_that_began_before_a_commit_is_not_kept_as_current(
    cache: Cache, database: Database
) -> None:
    source = Source()

    def slow(after: int) -> int:
        value = source.load(after)
        source.value = 1
        with database.transaction() as tx:
            cache.claimed(tx, did="did:plc:a", object_id=THING)
        return value  # what was true before the commit

    assert cache.get(NUMBER, WORLD, "n", slow) == 0
    assert cache.get(NUMBER, WORLD, "n", source.load) == 1


def test_right_after_a_change_of_unknown_position_loads_ask_for_the_primary(
    cache: Cache, database: Database
) -> None:
    source = Source()
    cache.get(NUMBER, WORLD, "n", source.load)
    with database.transaction() as tx:
        cache.claimed(tx, did="did:plc:a", object_id=THING)
    cache.get(NUMBER, WORLD, "n", source.load)
    assert source.after == [ANY, PRIMARY]


def test_a_value_of_another_release_is_loaded_anew(cache: Cache) -> None:
    words = Kind("number", TypeAdapter(str))
    assert cache.get(words, WORLD, "n", lambda _: "many") == "many"
    assert cache.get(NUMBER, WORLD, "n", Source().load) == 0


def test_what_a_load_raises_reaches_the_reader_and_is_not_kept(cache: Cache) -> None:
    def fail(_: int) -> int:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            cache.get(NUMBER, WORLD, "n", fail)
    assert cache.get(NUMBER, WORLD, "n", Source().load) == 0


def test_while_the_database_is_lost_the_previous_value_is_shown(redis_url: str) -> None:
    cache = Cache(redis_url, seconds=2)  # and kept for nine, to be shown meanwhile

    def lost(_: int) -> int:
        raise psycopg.OperationalError

    with pytest.raises(psycopg.OperationalError):
        cache.get(NUMBER, WORLD, "n", lost)
    source = Source()
    cache.get(NUMBER, WORLD, "n", source.load)
    time.sleep(2.1)
    assert cache.get(NUMBER, WORLD, "n", lost) == 0
    source.value = 1
    assert cache.get(NUMBER, WORLD, "n", source.load) == 1


def test_a_value_lives_as_long_as_it_was_told(redis_url: str) -> None:
    cache, source = Cache(redis_url, seconds=0.2), Source()
    cache.get(NUMBER, WORLD, "n", source.load)
    time.sleep(0.3)
    cache.get(NUMBER, WORLD, "n", source.load)
    assert source.loads == 2


def test_keys_of_one_scope_share_a_slot_of_a_cluster(cache: Cache, redis_url: str) -> None:
    cache.get(NUMBER, user_scope("did:plc:a"), "n", Source().load)
    cache.get(NUMBER, user_scope("did:plc:a"), "m", Source().load)
    keys = map(str, redis.Redis.from_url(redis_url, decode_responses=True).scan_iter())
    assert {re.findall(r"{(.*?)}", key)[0] for key in keys} == {"user:did:plc:a"}


def test_a_killed_redis_is_not_noticed(own_valkey: ValkeyServer) -> None:
    cache, source = Cache(own_valkey.url()), Source()
    cache.get(NUMBER, WORLD, "n", source.load)
    os.kill(own_valkey.pid, signal.SIGKILL)
    source.value = 1
    before = losses()
    assert [cache.get(NUMBER, WORLD, "n", source.load) for _ in range(50)] == [1] * 50
    assert losses() == before + 1  # the others do not even try
    assert not cache.ping()
    cache.close()


def test_a_redis_that_hangs_delays_one_moment_only(own_valkey: ValkeyServer) -> None:
    cache, source = Cache(own_valkey.url()), Source()
    cache.get(NUMBER, WORLD, "n", source.load)
    with paused(own_valkey.pid):
        before = losses()
        for _ in range(50):
            cache.get(NUMBER, WORLD, "n", source.load)
        assert losses() == before + 1  # one has waited, the others do not even try
    assert eventually(cache.ping)
    cache.close()


def test_a_load_runs_once_even_when_redis_dies_meanwhile(own_valkey: ValkeyServer) -> None:
    cache, source = Cache(own_valkey.url()), Source()

    def load(after: int) -> int:
        os.kill(own_valkey.pid, signal.SIGKILL)
        return source.load(after)

    assert cache.get(NUMBER, WORLD, "n", load) == 0
    assert source.loads == 1
    cache.close()


def test_nothing_from_before_an_outage_is_trusted_after_it(
    own_valkey: ValkeyServer, database: Database
) -> None:
    reader, writer = Cache(own_valkey.url()), Cache(own_valkey.url())
    source = Source()
    reader.get(NUMBER, WORLD, "n", source.load)
    writer.get(NUMBER, WORLD, "n", source.load)
    with paused(own_valkey.pid):
        source.value = 1
        with database.transaction() as tx:
            writer.claimed(tx, did="did:plc:a", object_id=THING)  # does not arrive
        writer.close()  # nor later: the process ends
        assert reader.get(NUMBER, WORLD, "n", source.load) == 1
    assert eventually(reader.ping)
    assert reader.get(NUMBER, WORLD, "n", source.load) == 1
    reader.close()


def test_a_change_that_redis_missed_is_told_when_it_is_back(
    own_valkey: ValkeyServer, database: Database
) -> None:
    reader, writer = Cache(own_valkey.url()), Cache(own_valkey.url())
    source = Source()
    reader.get(NUMBER, WORLD, "n", source.load)
    with paused(own_valkey.pid):
        source.value = 1
        with database.transaction() as tx:
            writer.claimed(tx, did="did:plc:a", object_id=THING)
    # The reader asked nothing meanwhile, so it knows of no outage.
    assert eventually(lambda: reader.get(NUMBER, WORLD, "n", source.load) == 1)
    reader.close()
    writer.close()


def test_claims_and_gifts_are_on_the_pages_at_once(
    cached_client: FlaskClient, database: Database, cache: Cache
) -> None:
    world = World(database, cache)
    otto, wren = world.person("otto.test"), world.person("wren.test")
    for path in ("/", "/@otto.test", "/@wren.test", "/leaderboard", "/objects", "/api/v1/stats"):
        cached_client.get(path)
    thing = world.claim(otto)

    def shows(path: str, text: str) -> bool:
        # Sooner than pages end by themselves.
        return eventually(
            lambda: text in cached_client.get(path).text, seconds=pages.AGES_SECONDS - 2
        )

    for path in ("/", "/@otto.test", "/objects", "/api/v1/claims/today"):
        assert shows(path, str(thing.id)), path
    assert shows(f"/objects/{thing.id}", "@otto.test")
    world.give(otto, wren, thing)
    for path in ("/@wren.test", f"/objects/{thing.id}", "/", "/leaderboard"):
        assert shows(path, "@wren.test"), path
    assert eventually(lambda: str(thing.id) not in cached_client.get("/@otto.test").text)


def test_a_name_changes_wherever_it_stands(
    cached_client: FlaskClient, database: Database, cache: Cache
) -> None:
    world = World(database, cache)
    otto, wren, ines = (world.person(f"{name}.test") for name in ("otto", "wren", "ines"))
    kept, given, offered, had = (
        world.claim(otto, utcnow() - timedelta(days=back)) for back in range(4)
    )
    world.give(otto, wren, given)
    world.give(otto, wren, had)
    world.give(wren, ines, had)
    world.offer(otto, wren, offered)
    shown = [f"/objects/{thing.id}" for thing in (kept, given, offered, had)]
    shown += [
        "/@wren.test",
        "/@ines.test",
        f"/api/v1/objects/{given.id}",
        "/api/v1/users/wren.test",
    ]
    for path in shown:
        cached_client.get(path)

    world.person("octavia.test")  # somebody else
    with database.transaction() as tx:
        accounts.ensure_user(tx, otto.did, "tako.test")
        cache.account_changed(tx, did=otto.did)
    for path in shown:
        page = cached_client.get(path).text
        assert "otto.test" not in page, path
        assert ("tako.test" in page) == (path != "/@ines.test"), path

    world.leave(otto)
    for path in shown:
        assert "tako.test" not in cached_client.get(path).text, path
    assert "A gift on its way" not in cached_client.get(f"/objects/{offered.id}").text


def test_a_handle_means_its_new_holder_at_once(
    cached_client: FlaskClient, database: Database, cache: Cache
) -> None:
    world = World(database, cache)
    world.person("otto.test", "Otto")
    assert "Otto" in cached_client.get("/@otto.test").text
    with database.transaction() as tx:
        accounts.ensure_user(tx, "did:plc:other", "otto.test", "Somebody Else")
        cache.account_changed(tx, did="did:plc:other")
    assert "Somebody Else" in cached_client.get("/@otto.test").text


def test_who_left_is_shown_to_nobody_while_somebody_looks_them_up(
    cache: Cache, database: Database
) -> None:
    source = Source()
    cache.get(NUMBER, user_scope("did:plc:a"), "n", source.load)
    with database.transaction() as tx:
        cache.account_changed(tx, did="did:plc:a")

    def gone(_: int) -> int:
        time.sleep(0.2)
        raise LookupError

    with pytest.raises(LookupError):
        cache.get(NUMBER, user_scope("did:plc:a"), "n", gone)
    with ThreadPoolExecutor(4) as readers:
        jobs = [
            readers.submit(cache.get, NUMBER, user_scope("did:plc:a"), "n", gone) for _ in range(4)
        ]
        assert all(isinstance(job.exception(), LookupError) for job in jobs)


def test_what_has_long_been_outdated_is_waited_for(
    cache: Cache, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cache.GRACE_SECONDS", 0)
    source = Source(seconds=0.2)
    cache.get(NUMBER, WORLD, "n", source.load)
    source.value = 1
    with database.transaction() as tx:
        cache.claimed(tx, did="did:plc:a", object_id=THING)
    with ThreadPoolExecutor(4) as readers:
        jobs = [readers.submit(cache.get, NUMBER, WORLD, "n", source.load) for _ in range(4)]
        assert {job.result() for job in jobs} == {1}
    assert source.loads == 2


def test_a_value_made_of_an_older_one_is_not_taken_for_current(
    cache: Cache, database: Database
) -> None:
    part = Kind("part", TypeAdapter(int), pause=5)
    whole = Kind("whole", TypeAdapter(int))
    source = Source()

    def load(_: int) -> int:
        return cache.get(part, WORLD, "p", source.load)

    assert cache.get(whole, WORLD, "w", load) == 0
    source.value = 1
    with database.transaction() as tx:
        cache.claimed(tx, did="did:plc:a", object_id=THING)
    assert cache.get(whole, WORLD, "w", load) == 0  # the part pauses
    assert eventually(lambda: cache.get(whole, WORLD, "w", load) == 1)
    assert source.loads == 2


def test_what_a_value_is_made_of_is_not_kept_a_second_time(cache: Cache, redis_url: str) -> None:
    part, whole = Kind("part", TypeAdapter(int)), Kind("whole", TypeAdapter(int))
    cache.get(whole, WORLD, "w", lambda _: cache.get(part, WORLD, "p", Source().load))
    (key,) = redis.Redis.from_url(redis_url, decode_responses=True).scan_iter()
    assert ":whole:" in str(key)


def test_a_value_ends_when_it_says(cache: Cache) -> None:
    ending = Kind("moment", TypeAdapter(datetime), ends=lambda moment: moment)
    soon = utcnow() + timedelta(seconds=4)
    later = soon + timedelta(minutes=1)
    assert cache.get(ending, WORLD, "m", lambda _: soon) == soon
    assert cache.get(ending, WORLD, "m", lambda _: later) == soon
    time.sleep((soon - utcnow()).total_seconds() + 0.05)
    assert cache.get(ending, WORLD, "m", lambda _: later) == later


def test_the_site_goes_on_without_redis(
    make_settings: Callable[..., Settings], database: Database, own_valkey: ValkeyServer
) -> None:
    settings = make_settings(phase=1, redis_url=own_valkey.url())  # with rate limits
    client = create_app(settings, database).test_client()
    thing = World(database).claim(World(database).person("otto.test"))
    assert client.get("/readyz").get_json() == {"status": "ok", "database": "ok", "redis": "ok"}
    assert client.get("/").status_code == 200
    before = losses()
    os.kill(own_valkey.pid, signal.SIGKILL)
    for path in (
        "/",
        "/@otto.test",
        f"/objects/{thing.id}",
        "/search?q=a",
        "/api/v1/live",
        "/status",
    ):
        for _ in range(3):
            assert client.get(path).status_code == 200, path
    assert losses() == before + 1  # nobody else has tried
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")
    assert "Running, with a part missing" in client.get("/status").text
