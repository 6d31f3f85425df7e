"""Decides how the bot behaves on a real Bluesky network: PLC, PDS and AppView on this machine. What
it says is for test_conversations.py; what happens here is reading, sending, sessions and limits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from atproto import Request
from atproto.exceptions import RateLimitExceededError
from psycopg.sql import SQL, Identifier

from app.bot import ingest
from app.bot.accounts import Accounts
from app.bot.bluesky import POST, Bluesky, BrokenError, Limited, stamp
from app.bot.budget import HOUR, Budget
from app.bot.handlers import build
from app.bot.mailbox import Mailbox
from app.bot.notifications import Notifications
from app.bot.rkey import reply_rkey
from app.bot.sessions import cipher
from app.cache import Cache
from app.clock import utcnow
from app.db import Database
from app.errors import Retry
from app.jobs.queue import Queue, finish
from app.models import Lane, Mention, Priority, Reply, ReplyState
from app.repository import budget as points_spent
from app.repository import cursors, mentions, replies, sessions
from app.settings import Settings
from tests.bluesky import LocalBluesky, Person, Ref
from tests.servers import PostgresServer, free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def network(postgres: PostgresServer) -> Iterator[LocalBluesky]:
    with psycopg.connect(postgres.url(), autocommit=True) as conn:
        conn.execute(SQL("CREATE DATABASE {}").format(Identifier("bluesky_of_bot")))
    with LocalBluesky(postgres.url("bluesky_of_bot")) as started:
        yield started


@pytest.fixture
def settings(make_settings: Callable[..., Settings], network: LocalBluesky) -> Settings:
    return make_settings(
        bluesky_url=network.url,
        bluesky_handle=network.bot_handle,
        bluesky_password=network.bot_password,
        bluesky_poll_seconds="0.2",
    )


class Stack:
    """Ingest and worker of one stack, driven step by step."""

    def __init__(self, settings: Settings, database: Database, network: LocalBluesky) -> None:
        self.settings, self.database, self.network = settings, database, network
        self.bluesky = Bluesky(settings, database)
        self.notifications = Notifications(self.bluesky, database)
        self.handlers = build(settings, database, Cache.open(settings))

    def mention(self, name: str, text: str) -> str:
        """Somebody mentions the bot; returns when the AppView lists it."""
        person = self.network.person(name)
        post = person.mention(self.network.bot_did, self.network.bot_handle, text)
        self.network.bot.wait_for_notification(post.uri)
        return post.uri

    def work(self) -> None:
        while True:
            with self.database.transaction() as tx:
                tx.conn.execute("UPDATE jobs SET run_at = now() WHERE state = 'waiting'")
            queue = Queue(self.database)
            jobs = [job for lane in Lane for job in queue.lease(lane, 10, "test", 30)]
            if not jobs:
                return
            for job in jobs:
                prepared = self.handlers[job.kind].prepare(job)
                with self.database.transaction() as tx:
                    self.handlers[job.kind].apply(tx, job, prepared)
                    finish(tx, job)

    def command(self) -> None:
        """Does the `command` job, and leaves its `reply` job."""
        with self.database.transaction() as tx:
            tx.conn.execute("UPDATE jobs SET run_at = now() WHERE state = 'waiting'")
        [job] = Queue(self.database).lease(Lane.EFFECTS, 1, "test", 30)
        assert job.kind == "command"
        prepared = self.handlers[job.kind].prepare(job)
        with self.database.transaction() as tx:
            self.handlers[job.kind].apply(tx, job, prepared)
            finish(tx, job)

    def reply(self, mention_uri: str) -> Reply:
        with self.database.read(fresh=True) as conn:
            reply = replies.get(conn, mention_uri)
        assert reply is not None
        return reply

    def stored(self, mention_uri: str) -> Mention | None:
        with self.database.read(fresh=True) as conn:
            return mentions.get(conn, mention_uri)

    def count(self, table: str) -> int:
        with self.database.read(fresh=True) as conn:
            row = conn.execute(SQL("SELECT count(*) AS n FROM {}").format(Identifier(table)))
            return int((row.fetchone() or {})["n"])


@pytest.fixture
def stack(settings: Settings, database: Database, network: LocalBluesky) -> Stack:
    made = Stack(settings, database, network)
    _begin_here(database, made.notifications.poll)
    return made


def test_a_mention_is_stored_once_and_answered_once_in_its_thread(stack: Stack) -> None:
    uri = stack.mention("alice", "claim please!")
    assert stack.notifications.poll() == 1
    assert stack.notifications.poll() == 0
    assert Notifications(stack.bluesky, stack.database).poll() == 0
    stack.work()
    answer = stack.network.person("alice").wait_for_reply(uri, timeout=60)
    assert answer.author_handle == stack.network.bot_handle
    assert len(answer.images) == 1
    assert any("/objects/" in link for link in answer.links)
    stack.network.person("alice").wait_for_notification(answer.uri)
    assert stack.reply(uri).uri == answer.uri
    assert stack.count("mentions") == 1


@pytest.mark.parametrize(
    ("text", "methods"),
    [("claim", ["getPosts", "uploadBlob", "putRecord"]), ("help", ["getPosts", "putRecord"])],
)
def test_a_reply_takes_few_requests(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, text: str, methods: list[str]
) -> None:
    uri = stack.mention(f"frugal-{text}", text)
    stack.notifications.poll()
    stack.command()
    _ = stack.bluesky.did
    requests: list[str] = []
    send = Request._send_request

    def counted(self: Request, method: str, url: str, **rest: Any) -> Any:
        requests.append(url.rsplit(".", 1)[1])
        return send(self, method, url, **rest)

    monkeypatch.setattr(Request, "_send_request", counted)
    stack.work()
    assert stack.reply(uri).state is ReplyState.SENT
    assert requests == methods


def test_a_post_that_has_the_key_is_never_overwritten(stack: Stack) -> None:
    put = partial(stack.bluesky.put_post, reply_rkey("at://x/y/z", utcnow()), learn=lambda _: None)
    record = {"$type": POST, "text": "first", "createdAt": "2026-01-01T00:00:00.000Z"}
    first = put(record)
    assert put(record) == first
    with pytest.raises(BrokenError):
        put(record | {"text": "second"})
    kept = stack.bluesky.record(first.uri)
    assert kept is not None
    assert kept["value"]["text"] == "first"


def test_a_worker_killed_between_sending_and_commit_posts_one_reply(stack: Stack) -> None:
    uri = stack.mention("bob", "claim")
    stack.notifications.poll()
    stack.command()
    [job] = Queue(stack.database).lease(Lane.REPLIES, 1, "killed", 30)
    stack.handlers["reply"].prepare(job)
    with stack.database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET lease_until = now() WHERE state = 'leased'")
    stack.work()
    stack.network.person("bob").wait_for_reply(uri, timeout=60)
    thread = stack.network.person("bob").thread(uri)
    assert [reply.uri for reply in thread.replies] == [stack.reply(uri).uri]


def test_a_reply_to_the_bots_reply_needs_no_mention(stack: Stack) -> None:
    alice = stack.network.person("carol")
    uri = stack.mention("carol", "claim")
    stack.notifications.poll()
    stack.work()
    answer = alice.wait_for_reply(uri, timeout=60)
    again = alice.reply(answer, "inventory")
    stack.network.bot.wait_for_notification(again.uri)
    assert stack.notifications.poll() == 1
    stack.work()
    assert "You have 1 object" in alice.wait_for_reply(again.uri, timeout=60).text


def test_a_mention_that_was_deleted_is_not_answered(stack: Stack) -> None:
    person = stack.network.person("dan")
    post = person.mention(stack.network.bot_did, stack.network.bot_handle, "claim")
    stack.network.bot.wait_for_notification(post.uri)
    stack.notifications.poll()
    person.delete(post)
    _until(lambda: stack.bluesky.author(post.uri) is None)
    stack.work()
    assert stack.reply(post.uri).reason == "mention deleted"
    mention = stack.stored(post.uri)
    assert mention is not None
    assert mention.deleted_at is not None


def test_who_blocks_the_bot_is_not_answered(stack: Stack) -> None:
    uri = stack.mention("erin", "claim")
    stack.notifications.poll()
    erin = stack.network.person("erin")
    erin.block(stack.network.bot_did)
    _until(lambda: (seen := stack.bluesky.profile(erin.did, fresh=True)) and seen.blocked)
    stack.work()
    assert (stack.reply(uri).state, stack.reply(uri).reason) == (ReplyState.WITHHELD, "blocked")


def test_two_people_who_block_each_other_are_apart(stack: Stack) -> None:
    ivan, judy = stack.network.person("ivan"), stack.network.person("judy")
    assert not stack.bluesky.apart(ivan.did, judy.did)
    judy.block(ivan.did)
    _until(lambda: stack.bluesky.apart(ivan.did, judy.did))
    assert stack.bluesky.apart(judy.did, ivan.did)


def test_mentions_made_while_nobody_read_are_caught_up_oldest_first(stack: Stack) -> None:
    uris = [stack.mention("frank", word) for word in ("claim", "help", "inventory")]
    assert Notifications(stack.bluesky, stack.database).poll() >= 3
    with stack.database.read() as conn:
        rows = conn.execute("SELECT key FROM jobs ORDER BY id").fetchall()
    assert [row["key"] for row in rows if row["key"] in uris] == uris


def test_mentions_of_one_moment_are_read_also_where_a_page_ends_between_them(
    stack: Stack,
) -> None:
    person = stack.network.person("gusher")
    moments = [utcnow() - timedelta(seconds=ago) for ago in (30, 20, 10)]
    text = f"@{stack.network.bot_handle} claim"
    facet = {
        "index": {"byteStart": 0, "byteEnd": len(stack.network.bot_handle) + 1},
        "features": [{"$type": "app.bsky.richtext.facet#mention", "did": stack.network.bot_did}],
    }
    uris: list[str] = []
    for moment in moments:
        written = person.client.com.atproto.repo.apply_writes(
            {
                "repo": person.did,
                "writes": [
                    {
                        "$type": "com.atproto.repo.applyWrites#create",
                        "collection": POST,
                        "value": {
                            "$type": POST,
                            "text": text,
                            "facets": [facet],
                            "createdAt": stamp(moment),
                        },
                    }
                    for _ in range(60)
                ],
            }
        )
        uris += [result.uri for result in written.results or []]
    stack.network.bot.wait_for_notification(uris[-1])
    Notifications(stack.bluesky, stack.database).poll()
    assert [uri for uri in uris if stack.stored(uri) is None] == []


def test_accounts_that_say_they_are_bots_are_not_read(stack: Stack) -> None:
    person = stack.network.person("robot")
    profile = {
        "$type": "app.bsky.actor.profile",
        "labels": {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "bot"}]},
    }
    person.client.com.atproto.repo.put_record(
        {
            "repo": person.did,
            "collection": "app.bsky.actor.profile",
            "rkey": "self",
            "record": profile,
        }
    )
    _until(lambda: (found := stack.bluesky.profile(person.did, fresh=True)) and found.is_bot)
    uri = stack.mention("robot", "claim")
    seen = stack.bluesky.author(uri)
    assert seen is not None
    assert seen.is_bot
    assert stack.notifications.poll() == 0


def test_two_processes_share_one_session(
    stack: Stack, settings: Settings, database: Database
) -> None:
    first, second = Bluesky(settings, database), Bluesky(settings, database)
    assert first.did == second.did == stack.network.bot_did
    with database.read() as conn:
        kept = sessions.get(conn, stack.network.bot_handle)
    assert kept is not None
    token = cipher(settings.secret_key.get_secret_value()).decrypt(kept).decode()
    assert first._keeper.client().export_session_string() in token
    assert second._keeper.client().export_session_string() in token
    assert settings.bluesky_password is not None
    assert settings.bluesky_password.get_secret_value() not in token


def test_a_session_the_server_refuses_is_renewed_once_for_all(
    settings: Settings, database: Database
) -> None:
    ours, theirs = Bluesky(settings, database), Bluesky(settings, database)
    assert ours.did == theirs.did
    before = theirs._keeper.client()
    renewed = ours._keeper.refused(ours._keeper.client()).export_session_string()
    assert renewed != before.export_session_string()
    assert theirs._keeper.refused(before).export_session_string() == renewed


def test_a_stored_session_that_cannot_be_read_is_replaced(
    settings: Settings, database: Database, network: LocalBluesky
) -> None:
    with database.transaction() as tx:
        sessions.put(tx.conn, network.bot_handle, b"written under another key")
    assert Bluesky(settings, database).did == network.bot_did


def test_a_wrong_password_waits_instead_of_hammering(
    make_settings: Callable[..., Settings], database: Database, network: LocalBluesky
) -> None:
    settings = make_settings(
        bluesky_url=network.url, bluesky_handle=network.bot_handle, bluesky_password="wrong"
    )
    bluesky = Bluesky(settings, database)
    with pytest.raises(Retry, match="refuses the account"):
        _ = bluesky.did
    with pytest.raises(Retry, match="the last login failed"):
        _ = bluesky.did


def test_a_server_that_does_not_answer_means_later(
    make_settings: Callable[..., Settings], database: Database
) -> None:
    bluesky = Bluesky(make_settings(bluesky_url=f"http://127.0.0.1:{free_port()}"), database)
    with pytest.raises(Retry, match="does not answer"):
        _ = bluesky.did


def test_handles_are_resolved_and_nobody_is_nobody(stack: Stack) -> None:
    alice = stack.network.person("alice")
    assert stack.bluesky.resolve_handle("Alice.test") == alice.did
    for nobody in (
        "nobody-at-all.test",
        "not a handle",
        "",
        "a..b",
        "☕.test",
        "x" * 300 + ".test",
    ):
        assert stack.bluesky.resolve_handle(nobody) is None


def test_the_servers_rate_limit_is_honoured_and_learned(
    make_settings: Callable[..., Settings], database: Database, network: LocalBluesky
) -> None:
    limited = "limited.test"
    network.person("limited")
    settings = make_settings(
        bluesky_url=network.url, bluesky_handle=limited, bluesky_password="password of limited"
    )
    bluesky, budget = Bluesky(settings, database), Budget(database, settings, limited)
    record = {"$type": POST, "text": "…", "createdAt": "2026-01-01T00:00:00.000Z"}
    rkey = reply_rkey("at://did:plc:x/app.bsky.feed.post/x", utcnow())
    writes = [{"$type": "com.atproto.repo.applyWrites#create", "collection": POST, "value": record}]
    write = partial(
        bluesky._keeper.client().com.atproto.repo.apply_writes,
        {"repo": bluesky.did, "writes": writes * 200},
    )
    # Somebody else spends 2,400 of the account's points; one put of ours tells us.
    for _ in range(4):
        write()
    bluesky.put_post(rkey, record, budget.learn)
    with database.read() as conn:
        assert points_spent.spent(conn, limited, utcnow()) == (2_402, 2_402)
    for _ in range(4):
        write()
    with pytest.raises(RateLimitExceededError):
        write()
    with pytest.raises(Limited) as refusal:
        bluesky.put_post(rkey, record, budget.learn)
    assert timedelta(0) < refusal.value.after <= HOUR
    with pytest.raises(Retry, match="budget"):
        budget.reserve(2, Priority.HIGH)


def test_one_of_two_ingests_reads_and_the_other_takes_over(
    stack: Stack, settings: Settings, database: Database
) -> None:
    stops = [threading.Event(), threading.Event()]
    threads = [
        threading.Thread(target=ingest.run, args=(settings, database, stop), daemon=True)
        for stop in stops
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.5)
    try:
        first = stack.mention("grace", "claim")
        _until(lambda: stack.stored(first) is not None)
        stops[0].set()
        threads[0].join(60)
        second = stack.mention("grace", "help")
        _until(lambda: stack.stored(second) is not None)
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_the_firehose_brings_mentions_and_deletions_and_resumes(
    stack: Stack, make_settings: Callable[..., Settings], database: Database, network: LocalBluesky
) -> None:
    settings = make_settings(
        bluesky_url=network.url,
        bluesky_handle=network.bot_handle,
        bluesky_password=network.bot_password,
        bluesky_ingest="firehose",
    )
    heidi = network.person("heidi")

    def reading() -> Callable[[], None]:
        stop = threading.Event()
        thread = threading.Thread(target=ingest.run, args=(settings, database, stop), daemon=True)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(60)
            assert not thread.is_alive()

        return end

    end = reading()
    try:
        posts: list[Ref] = []

        def brought() -> bool:
            # What was posted before the firehose was connected is not brought by it.
            posts.append(heidi.mention(network.bot_did, network.bot_handle, "claim"))
            time.sleep(1)
            return stack.stored(posts[-1].uri) is not None

        _until(brought)
        post = posts[-1]
        heidi.delete(post)
        _until(lambda: bool((found := stack.stored(post.uri)) and found.deleted_at))
    finally:
        end()
    missed = heidi.mention(network.bot_did, network.bot_handle, "help")
    with database.transaction() as tx:
        cursors.put(tx.conn, "firehose", "999999999")
    end = reading()
    try:
        _until(lambda: stack.stored(missed.uri) is not None)
        later = heidi.mention(network.bot_did, network.bot_handle, "inventory")
        _until(lambda: stack.stored(later.uri) is not None)
    finally:
        end()


def _begin_here(database: Database, poll: Callable[[], int]) -> None:
    """A network is shared by this module's tests: what was posted before belongs to others."""
    with database.transaction() as tx:
        cursors.put(tx.conn, "notifications", utcnow().isoformat())
    poll()
    with database.transaction() as tx:
        tx.conn.execute("TRUNCATE mentions, jobs CASCADE")


def _until(met: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


def test_couriers_answer_in_the_thread_and_hear_those_who_answer_them(
    make_settings: Callable[..., Settings],
    settings: Settings,
    database: Database,
    network: LocalBluesky,
) -> None:
    couriers = [network.person(f"courier-{number}") for number in (1, 2)]
    credentials = [
        {"handle": person.handle, "password": f"password of courier-{number}"}
        for number, person in enumerate(couriers, start=1)
    ]
    team = make_settings(
        bluesky_url=settings.bluesky_url,
        bluesky_handle=network.bot_handle,
        bluesky_password=network.bot_password,
        bluesky_couriers=json.dumps(credentials),
    )
    stack = Stack(team, database, network)
    mailbox = Mailbox(Accounts.open(team, database), database)
    _begin_here(database, mailbox.poll)

    senders = {}
    for number in range(9):
        uri = stack.mention(f"reader{number}", "claim")
        mailbox.poll()
        stack.work()
        answer = network.person(f"reader{number}").wait_for_reply(uri, timeout=60)
        assert answer.author_handle == stack.reply(uri).account
        senders[answer.author_handle] = (f"reader{number}", answer)
        if len(senders) > 1:
            break
    assert len(senders) > 1

    name, answer = next(senders[c.handle] for c in couriers if c.handle in senders)
    asked = network.person(name).reply(answer, "inventory")
    next(c for c in couriers if c.did == answer.author_did).wait_for_notification(asked.uri)
    for _ in range(2 * len(couriers)):  # every second poll it is another one's turn
        mailbox.poll()
    stack.work()
    assert "You have 1 object" in network.person(name).wait_for_reply(asked.uri, timeout=60).text


def test_when_points_run_out_digests_mention_everybody_left_once(
    make_settings: Callable[..., Settings], database: Database, network: LocalBluesky
) -> None:
    couriers = [network.person(f"porter-{number}") for number in (1, 2)]
    stack = Stack(
        make_settings(
            bluesky_url=network.url,
            bluesky_handle=network.bot_handle,
            bluesky_password=network.bot_password,
            bluesky_couriers=json.dumps(
                [
                    {"handle": person.handle, "password": f"password of porter-{number}"}
                    for number, person in enumerate(couriers, start=1)
                ]
            ),
            bluesky_write_points_hour="10",
        ),
        database,
        network,
    )
    _begin_here(database, stack.notifications.poll)
    with database.transaction() as tx:  # leaves each account a reply and a digest
        minute = utcnow().replace(second=0, microsecond=0)
        for handle in (network.bot_handle, *(courier.handle for courier in couriers)):
            points_spent.spend(tx.conn, handle, minute, 6)
    uris = {f"walker{number}": stack.mention(f"walker{number}", "claim") for number in range(11)}
    stack.notifications.poll()
    _until(lambda: _answered(stack, uris.values()), 120)

    ours = {network.bot_did, *(courier.did for courier in couriers)}
    states: set[ReplyState] = set()
    for name, uri in uris.items():
        person = network.person(name)
        states.add(stack.reply(uri).state)

        heard = partial(_heard, person, ours)
        _until(heard)
        assert heard() == ["reply" if stack.reply(uri).state is ReplyState.SENT else "mention"]
    assert states == {ReplyState.SENT, ReplyState.DIGESTED}
    with database.read() as conn:
        rows = conn.execute("SELECT DISTINCT account FROM replies WHERE state = 'sent'").fetchall()
        digests = conn.execute("SELECT FROM digests WHERE sent_at IS NOT NULL").fetchall()
    assert len(rows) > 1
    assert len(digests) >= 2


def _heard(person: Person, dids: Collection[str]) -> list[str]:
    """How accounts have notified a person."""
    return [seen.reason for seen in person.notifications() if seen.author_did in dids]


def _answered(stack: Stack, uris: Collection[str]) -> bool:
    """Does what is due, as workers do; whether all mentions are answered by then."""
    with stack.database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET run_at = now() WHERE state = 'waiting'")
    queue = Queue(stack.database)
    for job in [job for lane in Lane for job in queue.lease(lane, 50, "test", 30)]:
        try:
            prepared = stack.handlers[job.kind].prepare(job)
        except Retry as retry:
            queue.retry(job, retry.reason, after=retry.after, failed=False)
            continue
        with stack.database.transaction() as tx:
            stack.handlers[job.kind].apply(tx, job, prepared)
            finish(tx, job)
    with stack.database.read() as conn:
        open_jobs = conn.execute("SELECT FROM jobs WHERE state IN ('waiting', 'leased')").fetchall()
    return not open_jobs and all(stack.reply(uri).state is not ReplyState.PENDING for uri in uris)
