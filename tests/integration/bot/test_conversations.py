"""Decides what people get for what they write: commands through parser, domain and PostgreSQL to
the post that the bot writes, with Bluesky replaced by a dictionary. The real network has
test_network.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from atproto import client_utils

from app.bot.bluesky import POST, BrokenError, Profile, SilentError
from app.bot.inbox import UnreadableError, read_mention
from app.bot.richtext import MOST_GRAPHEMES, graphemes
from app.clock import utcnow
from app.errors import Reject, Retry
from app.jobs.queue import Queue
from app.models import Lane, ReplyState
from tests.integration.bot.conftest import Exchange, FakeBluesky

pytestmark = pytest.mark.integration


def test_a_claim_is_answered_with_the_object_and_its_picture(exchange: Exchange) -> None:
    reply = exchange.hear("alice", "@bot claim")
    [thing] = exchange.owned("alice")
    assert reply is not None
    assert reply.uri is not None
    assert reply.state is ReplyState.SENT
    value = exchange.bluesky.posts[reply.uri]["value"]
    assert thing.name in value["text"]
    assert value["embed"]["images"][0]["alt"].startswith(thing.name)
    assert value["reply"]["parent"]["uri"] == reply.mention_uri
    assert value["createdAt"].endswith("Z")


def test_a_second_claim_of_the_day_gives_nothing_new(exchange: Exchange) -> None:
    exchange.say("alice", "@bot claim")
    answer = exchange.say("alice", "@bot claim")
    assert len(exchange.owned("alice")) == 1
    assert exchange.owned("alice")[0].name in answer
    assert "next claim" in answer


def test_a_gift_is_offered_accepted_and_changes_its_owner(exchange: Exchange) -> None:
    exchange.bluesky.join("bob")
    exchange.say("alice", "@bot claim")
    [thing] = exchange.owned("alice")
    offer = exchange.hear("alice", f"@bot gift the {thing.name} to @bob please")
    assert offer is not None
    assert offer.record["text"].startswith("@bob.test")
    accepted = exchange.say("bob", "Accept! 😍", answering=offer.uri)
    assert "now belongs to @bob.test" in accepted
    assert [one.id for one in exchange.owned("bob")] == [thing.id]
    assert exchange.owned("alice") == []


def test_a_declined_gift_stays(exchange: Exchange) -> None:
    exchange.bluesky.join("bob")
    exchange.say("alice", "@bot claim")
    [thing] = exchange.owned("alice")
    offer = exchange.hear("alice", f"@bot gift @bob {thing.name}")
    assert offer is not None
    assert "stays with @alice.test" in exchange.say("bob", "no thanks", answering=offer.uri)
    assert exchange.owned("alice") == [thing]


def test_it_means_the_object_in_the_post_one_answers(exchange: Exchange) -> None:
    exchange.bluesky.join("bob")
    claimed = exchange.hear("alice", "@bot claim")
    assert claimed is not None
    offer = exchange.say("alice", "give it to @bob", answering=claimed.uri)
    assert exchange.owned("alice")[0].name in offer


def test_a_gift_to_a_typed_handle_is_looked_up(exchange: Exchange) -> None:
    exchange.bluesky.join("bob")
    exchange.say("alice", "@bot claim")
    [thing] = exchange.owned("alice")
    assert exchange.say("alice", f"@bot gift {thing.name} to Bob.test").startswith("@bob.test")


def test_a_gift_that_cannot_be_made_says_why(exchange: Exchange, bluesky: FakeBluesky) -> None:
    for name in ("bob", "alice"):
        bluesky.join(name)
    bluesky.join("shy", blocked=True)
    bluesky.join("robot", is_bot=True)
    bluesky.join("foe")
    bluesky.foes.append({"did:plc:alice", "did:plc:foe"})
    exchange.say("alice", "@bot claim")
    name = exchange.owned("alice")[0].name
    assert "already" in exchange.say("alice", f"@bot gift {name} to @alice")
    assert "nobody called @ghost.test" in exchange.say("alice", f"@bot gift {name} to @ghost.test")
    assert "does not take part" in exchange.say("alice", f"@bot gift {name} to @shy")
    assert "does not take part" in exchange.say("alice", f"@bot gift {name} to @robot")
    assert "does not take part" in exchange.say("alice", f"@bot gift {name} to @foe")
    assert "How kind" in exchange.say("alice", f"@bot gift {name} to @bot")
    assert "could not find" in exchange.say("alice", "@bot gift Unobtainium to @bob")
    assert "Whom is it for" in exchange.say("alice", f"@bot gift {name}")
    assert "Which of your objects" in exchange.say("alice", "@bot gift @bob")
    assert len(exchange.owned("alice")) == 1
    assert exchange.count("gifts") == 0


def test_accepting_without_an_offer_is_answered_kindly(exchange: Exchange) -> None:
    assert "no gift waiting" in exchange.say("alice", "@bot accept")


def test_inventory_help_and_nonsense_are_answered(exchange: Exchange) -> None:
    assert "empty" in exchange.say("alice", "@bot inventory")
    exchange.say("alice", "@bot claim")
    assert "You have 1 object" in exchange.say("alice", "@bot inventory")
    assert "one object a day" in exchange.say("alice", "@bot help")
    assert "offers your object" in exchange.say("alice", "@bot help gift")
    assert "abracadabra" in exchange.say("alice", "@bot abracadabra")


def test_thanks_and_small_talk_are_not_even_stored(exchange: Exchange) -> None:
    exchange.say("alice", "@bot thanks!")
    assert exchange.count("mentions") == 0


def test_stop_is_confirmed_once_and_then_there_is_silence_until_start(exchange: Exchange) -> None:
    assert "last you hear" in exchange.say("alice", "@bot stop")
    assert exchange.say("alice", "@bot claim") == ""
    assert exchange.say("alice", "@bot stop") == ""
    assert "Welcome back" in exchange.say("alice", "@bot start")
    assert exchange.say("alice", "@bot claim") != ""


def test_nothing_can_be_offered_to_who_opted_out(exchange: Exchange) -> None:
    exchange.say("bob", "@bot stop")
    exchange.say("alice", "@bot claim")
    name = exchange.owned("alice")[0].name
    assert "does not take part" in exchange.say("alice", f"@bot gift {name} to @bob")


def test_opting_out_before_the_reply_is_sent_withholds_it(exchange: Exchange) -> None:
    uri = exchange.post("alice", "@bot claim")
    [command] = Queue(exchange.database).lease(Lane.EFFECTS, 1, "test", 30)
    handler = exchange.handlers["command"]
    with exchange.database.transaction() as tx:
        handler.apply(tx, command, handler.prepare(command))
        tx.conn.execute("UPDATE users SET opted_out_at = now()")
        tx.conn.execute("UPDATE jobs SET state = 'done' WHERE kind = 'command'")
    exchange.work()
    reply = exchange.reply(uri)
    assert reply is not None
    assert (reply.state, reply.reason) == (ReplyState.WITHHELD, "opted out")
    assert exchange.bluesky.written == 0


def test_somebody_who_opted_out_meanwhile_is_named_but_not_notified(exchange: Exchange) -> None:
    exchange.bluesky.join("bob")
    exchange.say("alice", "@bot claim")
    name = exchange.owned("alice")[0].name
    exchange.bluesky.fail = Retry(timedelta(seconds=1), "down")
    uri = exchange.post("alice", f"@bot gift {name} to @bob")
    with pytest.raises(Retry):
        exchange.work()
    exchange.bluesky.fail = None
    exchange.bluesky.join("bob", blocked=True)
    with exchange.database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET state = 'waiting' WHERE state = 'leased'")
    exchange.work()
    reply = exchange.reply(uri)
    assert reply is not None
    assert reply.uri is not None
    sent = exchange.bluesky.posts[reply.uri]["value"]
    assert "@bob.test" in sent["text"]
    dids = [feature.get("did") for facet in sent["facets"] for feature in facet["features"]]
    assert "did:plc:bob" not in dids


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"blocked": True}, "blocked"),
        ({"is_bot": True}, "author is a bot"),
        (None, "author gone"),
    ],
)
def test_replies_are_withheld_from_who_does_not_want_them(
    exchange: Exchange, change: dict[str, Any] | None, reason: str
) -> None:
    uri = exchange.post("alice", "@bot claim")
    if change is None:
        del exchange.bluesky.people["did:plc:alice"]
    else:
        exchange.bluesky.join("alice", **change)
    exchange.work()
    reply = exchange.reply(uri)
    assert reply is not None
    assert (reply.state, reply.reason, reply.uri) == (ReplyState.WITHHELD, reason, None)


def test_a_deleted_mention_is_not_answered(exchange: Exchange) -> None:
    uri = exchange.post("alice", "@bot claim")
    del exchange.bluesky.posts[uri]
    exchange.work()
    reply = exchange.reply(uri)
    assert reply is not None
    assert reply.reason == "mention deleted"


@pytest.mark.parametrize("missing", ["author", "mention"])
def test_a_reply_waits_for_an_appview_that_lags_behind_the_firehose(
    exchange: Exchange, missing: str
) -> None:
    uri = exchange.post("alice", "@bot claim", source="firehose")
    author = exchange.bluesky.people["did:plc:alice"]
    mention = exchange.bluesky.posts[uri]
    [command] = Queue(exchange.database).lease(Lane.EFFECTS, 1, "test", 30)
    handler = exchange.handlers["command"]
    with exchange.database.transaction() as tx:
        handler.apply(tx, command, handler.prepare(command))
        tx.conn.execute("UPDATE jobs SET run_at = now() WHERE kind = 'reply'")
    [job] = Queue(exchange.database).lease(Lane.REPLIES, 1, "test", 30)

    del exchange.bluesky.posts[uri]
    if missing == "author":
        del exchange.bluesky.people[author.did]
    with pytest.raises(Retry, match="does not know"):
        exchange.handlers["reply"].prepare(job)

    exchange.bluesky.people[author.did] = author
    exchange.bluesky.posts[uri] = mention
    exchange.handlers["reply"].prepare(job)
    assert exchange.bluesky.written == 1


def test_an_eleventh_command_in_a_minute_is_told_to_slow_down_once(exchange: Exchange) -> None:
    said = [exchange.say("alice", "@bot help") for _ in range(13)]
    assert all("one object a day" in words for words in said[:10])
    assert "at once" in said[10]
    assert said[11:] == ["", ""]


def test_a_mention_that_arrives_twice_is_stored_and_answered_once(exchange: Exchange) -> None:
    uri = exchange.post("alice", "@bot claim")
    record = exchange.bluesky.posts[uri]["value"]
    again = read_mention(uri, "bafymention", "alice.test", record, utcnow(), "firehose")
    assert exchange.arrive(again) == 0
    exchange.work()
    assert exchange.arrive(again) == 0
    exchange.work()
    assert exchange.bluesky.written == 1
    assert exchange.count("claims") == 1


def test_a_worker_killed_after_sending_does_not_send_twice(exchange: Exchange) -> None:
    uri = exchange.post("alice", "@bot claim")
    [command] = Queue(exchange.database).lease(Lane.EFFECTS, 1, "test", 30)
    handler = exchange.handlers["command"]
    with exchange.database.transaction() as tx:
        handler.apply(tx, command, handler.prepare(command))
        tx.conn.execute("UPDATE jobs SET state = 'done' WHERE kind = 'command'")
    [job] = Queue(exchange.database).lease(Lane.REPLIES, 1, "dies after putRecord", 30)
    exchange.handlers["reply"].prepare(job)
    with exchange.database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET lease_until = now() WHERE state = 'leased'")
    assert exchange.bluesky.written == 1
    exchange.work()
    reply = exchange.reply(uri)
    assert reply is not None
    assert reply.state is ReplyState.SENT
    assert (exchange.bluesky.written, exchange.bluesky.uploads) == (1, 1)


def test_a_reply_whose_answer_got_lost_is_not_sent_twice(exchange: Exchange) -> None:
    """Bluesky has written the post, and its answer was an error 500 or came too late."""
    uri = exchange.post("alice", "@bot claim")
    [command] = Queue(exchange.database).lease(Lane.EFFECTS, 1, "test", 30)
    handler = exchange.handlers["command"]
    with exchange.database.transaction() as tx:
        handler.apply(tx, command, handler.prepare(command))
        tx.conn.execute("UPDATE jobs SET state = 'done' WHERE kind = 'command'")
    queue = Queue(exchange.database)
    for error, failed in ((SilentError(TimeoutError()), False), (BrokenError("500"), True)):
        [job] = queue.lease(Lane.REPLIES, 1, "test", 30)
        if failed:
            exchange.bluesky.posts.clear()  # as if only the second try had come through
            exchange.bluesky.posts[uri] = {"uri": uri, "cid": "bafymention", "value": {}}
        exchange.handlers["reply"].prepare(job)
        queue.retry(job, str(error), after=timedelta(0), failed=failed)
    exchange.work()
    reply = exchange.reply(uri)
    assert reply is not None
    assert reply.state is ReplyState.SENT
    assert len(exchange.bluesky.posts) == 2


def test_a_key_taken_by_another_post_is_left_alone(exchange: Exchange) -> None:
    uri = exchange.post("alice", "@bot claim")
    [command] = Queue(exchange.database).lease(Lane.EFFECTS, 1, "test", 30)
    handler = exchange.handlers["command"]
    with exchange.database.transaction() as tx:
        handler.apply(tx, command, handler.prepare(command))
        tx.conn.execute("UPDATE jobs SET state = 'done' WHERE kind = 'command'")
    reply = exchange.reply(uri)
    assert reply is not None
    taken = f"at://{exchange.bot.did}/{POST}/{reply.rkey}"
    other = {"uri": taken, "cid": "x", "value": {"text": "something else"}}
    exchange.bluesky.posts[taken] = other
    with pytest.raises(BrokenError):
        exchange.work()
    with exchange.database.transaction() as tx:
        tx.conn.execute("UPDATE jobs SET lease_until = now() WHERE state = 'leased'")
    exchange.work()
    sent = exchange.reply(uri)
    assert sent is not None
    assert sent.uri not in (None, taken)
    assert exchange.bluesky.posts[taken] == other


def test_a_reply_that_bluesky_refuses_for_good_is_not_tried_for_ever(exchange: Exchange) -> None:
    exchange.bluesky.fail = Reject("invalid record")
    exchange.post("alice", "@bot claim")
    with pytest.raises(Reject):
        exchange.work()
    assert exchange.count("claims") == 1


def test_a_firehose_mention_gets_its_authors_handle_and_waits_to_be_indexed(
    exchange: Exchange,
) -> None:
    uri = f"at://did:plc:carol/{POST}/3lb2abcdefg2x"
    exchange.bluesky.posts[uri] = {"uri": uri, "cid": "c", "value": {}}
    text = exchange.rich("@bot claim")
    facets = [facet.model_dump(by_alias=True) for facet in text.build_facets()]
    record = {"text": text.build_text(), "facets": facets}
    exchange.arrive(read_mention(uri, "c", None, record, utcnow(), "firehose"))
    [command] = Queue(exchange.database).lease(Lane.EFFECTS, 1, "test", 30)
    handler = exchange.handlers["command"]
    with pytest.raises(Retry):
        handler.prepare(command)
    exchange.bluesky.join("carol")
    with exchange.database.transaction() as tx:
        handler.apply(tx, command, handler.prepare(command))
        tx.conn.execute("UPDATE jobs SET state = 'done' WHERE kind = 'command'")
    with exchange.database.read() as conn:
        [row] = conn.execute("SELECT run_at - created_at AS wait FROM jobs WHERE kind = 'reply'")
    assert timedelta(seconds=0.5) < row["wait"] < timedelta(seconds=3)
    exchange.work()
    assert exchange.owned("carol")[0].owner_handle == "carol.test"


HOSTILE = [
    "'; DROP TABLE users; --",
    "<script>alert(1)</script>",
    "{{ 7*7 }} %s %(x)s :name $1 \\ \x00 \ud800",
    "\u202e\u2066gnp.exe\u2069",
    "e" + "\u0301" * 500,
    "👩‍👩‍👧‍👦" * 100,
    "شاي " * 50,
    "\n\n\n",
    "x" * 200_000,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("before", ["", "claim ", "gift @bob ", "help "])
def test_hostile_text_is_only_text(exchange: Exchange, before: str, text: str) -> None:
    exchange.bluesky.join("bob")
    built = client_utils.TextBuilder().mention("@etcetera.test", exchange.bot.did).text(" ")
    record = {
        "text": f"{built.build_text()}{before}{text}",
        "facets": [facet.model_dump(by_alias=True) for facet in built.build_facets()],
    }
    exchange.bluesky.join("alice")
    uri = f"at://did:plc:alice/{POST}/3lb2abcdefg2x"
    exchange.bluesky.posts[uri] = {"uri": uri, "cid": "c", "value": {}}
    exchange.arrive(read_mention(uri, "c", "alice.test", record, utcnow(), "notifications"))
    exchange.work()
    reply = exchange.reply(uri)
    if reply is not None:
        assert reply.state is ReplyState.SENT
        assert graphemes(reply.record["text"]) <= MOST_GRAPHEMES
    assert exchange.count("users") <= 2


@pytest.mark.parametrize(
    ("uri", "record"),
    [
        (None, {"text": "x"}),
        ("https://example.com", {"text": "x"}),
        (f"at://did:plc:a/{POST}/", {"text": "x"}),
        (f"at://did:plc:a/{POST}/a/b", {"text": "x"}),
        (f"at://did:plc:a/{POST}/3lb2abcdefg2x", {}),
        (f"at://did:plc:a/{POST}/3lb2abcdefg2x", {"text": 7}),
        (f"at://did:plc:a/{POST}/3lb2abcdefg2x", None),
    ],
)
def test_what_is_no_post_is_refused(uri: object, record: object) -> None:
    with pytest.raises(UnreadableError):
        read_mention(uri, "c", "a.test", record, utcnow(), "notifications")


@pytest.mark.parametrize("handle", ["", "handle.invalid", "مثال.test", "☕.test", "x" * 5_000])
def test_odd_handles_do_not_stop_a_claim(exchange: Exchange, handle: str) -> None:
    exchange.bluesky.people["did:plc:odd"] = Profile(
        "did:plc:odd", handle or "handle.invalid", None, False, False
    )
    assert exchange.say("odd", "@bot claim") != ""


def test_a_claim_counts_for_the_day_it_was_made_while_we_were_down(exchange: Exchange) -> None:
    made = utcnow() - timedelta(minutes=30)
    exchange.post("alice", "@bot claim", at=made)
    exchange.work()
    with exchange.database.read() as conn:
        row = conn.execute("SELECT day FROM claims").fetchone()
    assert row == {"day": made.date()}


def test_a_post_dated_before_we_last_looked_counts_from_its_arrival(exchange: Exchange) -> None:
    exchange.post("alice", "@bot claim", at=utcnow() - timedelta(days=3))
    exchange.work()
    with exchange.database.read() as conn:
        row = conn.execute("SELECT day FROM claims").fetchone()
    assert row == {"day": utcnow().date()}
