"""Decides whether the local Bluesky network is a fair stand-in for the real one: identities,
mentions, threads, blocks and limits behave as there, and it comes back after a crash as it was.

What the bot does on it is for tests/e2e.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from atproto import models
from atproto.exceptions import RateLimitExceededError
from PIL import Image

from tests.bluesky import LocalBluesky, Person
from tests.servers import PostgresServer

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def network(postgres: PostgresServer) -> Iterator[LocalBluesky]:
    with psycopg.connect(postgres.url(), autocommit=True) as conn:
        conn.execute("CREATE DATABASE bluesky")
    with LocalBluesky(postgres.url("bluesky")) as network:
        yield network


def test_a_mention_reaches_the_bot_and_its_reply_reaches_the_person(network: LocalBluesky) -> None:
    alice, bot = network.person("alice"), network.bot
    post = alice.mention(network.bot_did, network.bot_handle, "claim")

    seen = bot.wait_for_notification(post.uri)
    assert (seen.reason, seen.author_did) == ("mention", alice.did)
    assert seen.text == "@etcetera.test claim"

    written = bot.reply(post, "Here you are.")
    reply = alice.wait_for_reply(post.uri, timeout=60)
    assert (reply.uri, reply.text, reply.author_handle) == (
        written.uri,
        "Here you are.",
        network.bot_handle,
    )
    assert alice.wait_for_notification(written.uri).reason == "reply"


def test_a_reply_within_the_thread_keeps_its_root(network: LocalBluesky) -> None:
    alice, bot = network.person("alice"), network.bot
    post = alice.mention(network.bot_did, network.bot_handle, "give the lamp to @alice.test")
    answer = bot.reply(post, "Do you accept?")
    accepted = alice.reply(answer, "accept")

    assert bot.wait_for_notification(accepted.uri).reason == "reply"
    alice.wait_for_reply(answer.uri, timeout=60, by=alice.did)
    thread = alice.thread(post.uri)
    assert [reply.uri for reply in thread.replies] == [answer.uri]
    assert [reply.uri for reply in thread.replies[0].replies] == [accepted.uri]


def test_the_bot_says_that_it_is_one(network: LocalBluesky) -> None:
    profile = network.person("alice").client.get_profile(network.bot_did)
    assert profile.display_name == "Etcetera.Exchange"
    assert [label.val for label in profile.labels or []] == ["bot"]


def test_a_deleted_post_and_a_block_hide_what_they_should(network: LocalBluesky) -> None:
    bob, bot = network.person("bob"), network.bot
    post = bob.mention(network.bot_did, network.bot_handle, "claim")
    bot.wait_for_notification(post.uri)
    block = bob.block(network.bot_did)
    _wait(lambda: bot.thread(post.uri).hidden == "blocked")
    bob.unblock(block)
    _wait(lambda: bot.thread(post.uri).hidden is None)
    bob.delete(post)
    _wait(lambda: post.uri not in [seen.uri for seen in bot.notifications()])


def test_images_of_posts_can_be_fetched(network: LocalBluesky) -> None:
    alice = network.person("alice")
    picture = _picture()
    created = alice.client.send_image("A lamp.", picture, "a lamp")
    shown = alice.wait_for_thread(created.uri)
    (url,) = shown.images
    assert url.startswith(network.appview_url)
    # The AppView chooses the format; what counts is that it is the picture.
    with Image.open(BytesIO(httpx.get(url).content)) as served:
        assert served.width == served.height


def test_it_comes_back_after_a_crash_with_all_it_had(network: LocalBluesky) -> None:
    alice = network.person("alice")
    before = alice.mention(network.bot_did, network.bot_handle, "before the crash")
    network.kill()
    network.start()

    bot = Person.log_in(network.url, network.bot_handle, network.bot_password)
    assert bot.did == network.bot_did
    assert Person.log_in(network.url, "alice.test", "password of alice").did == alice.did
    assert bot.wait_for_notification(before.uri).text == "@etcetera.test before the crash"
    assert alice.thread(before.uri).text == "@etcetera.test before the crash"

    after = alice.mention(network.bot_did, network.bot_handle, "after the crash")
    assert bot.wait_for_notification(after.uri).reason == "mention"
    uris = [seen.uri for seen in bot.notifications()]
    assert len(uris) == len(set(uris)), "reading events again must not notify again"


@pytest.mark.parametrize("round_", range(3))
def test_no_mention_is_lost_when_it_is_killed_in_the_middle(
    network: LocalBluesky, round_: int
) -> None:
    alice = network.person("alice")
    posts = [
        alice.mention(network.bot_did, network.bot_handle, f"claim {round_}.{number}")
        for number in range(10)
    ]
    network.kill()
    network.start()
    seen = [network.bot.wait_for_notification(post.uri).uri for post in posts]
    assert seen == [post.uri for post in posts]
    uris = [item.uri for item in network.bot.notifications(100)]
    assert len(uris) == len(set(uris))


def test_a_new_network_in_the_database_of_an_old_one_starts_empty(
    empty_database_url: str,
) -> None:
    with LocalBluesky(empty_database_url) as old:
        did = old.bot_did
    with LocalBluesky(empty_database_url) as new:
        assert new.bot_did != did
        alice = new.person("alice")
        post = alice.mention(new.bot_did, new.bot_handle, "claim")
        assert new.bot.wait_for_notification(post.uri).reason == "mention"


def test_a_changed_password_of_the_bot_takes_effect_at_the_next_start(
    network: LocalBluesky,
) -> None:
    network.stop()
    network.bot_password = "a new password"
    network.start()
    assert Person.log_in(network.url, network.bot_handle, "a new password").did


def test_writing_is_limited_as_on_bluesky(network: LocalBluesky) -> None:
    carol = network.person("carol")
    for _ in range(8):
        _create(carol, 200)
    _create(carol, 66)
    # 5,000 points an hour, of which each of these 1,666 took 3.
    with pytest.raises(RateLimitExceededError) as refused:
        _create(carol, 1)
    assert refused.value.response is not None
    assert refused.value.response.headers["ratelimit-policy"] == "5000;w=3600"


def test_it_listens_on_loopback_only_and_keeps_secrets_to_itself(network: LocalBluesky) -> None:
    process = network.process
    addresses = {
        connection.laddr.ip
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}
    files = [Path(root) / name for root, _, names in os.walk(network.folder) for name in names]
    data = [path for path in files if path != network.log]
    assert data
    assert [path for path in data if path.stat().st_mode & 0o077] == []
    assert network.bot_password not in network.log.read_text()


def _wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    return file.getvalue()


def _create(person: Person, records: int) -> None:
    follow = models.ComAtprotoRepoApplyWrites.Create(
        collection="app.bsky.graph.follow",
        value={
            "$type": "app.bsky.graph.follow",
            "subject": person.did,
            "createdAt": "2026-01-01T00:00:00Z",
        },
    )
    person.client.com.atproto.repo.apply_writes(
        models.ComAtprotoRepoApplyWrites.Data(repo=person.did, writes=[follow] * records)
    )
