"""Decides how several accounts share the replies, and how digests answer when points run out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.bot.accounts import Accounts
from app.bot.bluesky import POST
from app.bot.consent import mentioned
from app.bot.richtext import MOST_GRAPHEMES, graphemes
from app.clock import utcnow
from app.db import Database
from app.errors import Retry
from app.jobs.queue import Queue, finish
from app.models import Job, Lane, ReplyState
from app.repository import budget as points_spent
from app.settings import Settings
from tests.integration.bot.conftest import Exchange, FakeBluesky

pytestmark = pytest.mark.integration

COURIERS = ("courier-1.test", "courier-2.test")


@pytest.fixture
def couriers(bluesky: FakeBluesky) -> list[FakeBluesky]:
    """Accounts on the same network."""
    return [
        FakeBluesky(f"did:plc:{handle[:9]}", handle, bluesky.people, bluesky.posts, bluesky.foes)
        for handle in COURIERS
    ]


@pytest.fixture
def team(
    make_settings: Callable[..., Settings],
    database: Database,
    bluesky: FakeBluesky,
    couriers: list[FakeBluesky],
) -> Exchange:
    settings = make_settings(bluesky_write_points_hour="100", bluesky_write_points_day="1000")
    return Exchange(settings, database, bluesky, couriers)


def spend(database: Database, account: str, points: int) -> None:
    with database.transaction() as tx:
        points_spent.spend(tx.conn, account, utcnow().replace(second=0, microsecond=0), points)


def exhaust(exchange: Exchange, points: int = 90) -> None:
    """Leaves no points for single replies."""
    for account in exchange.accounts.in_turn(exchange.bot.handle):
        spend(exchange.database, account.handle, points)


def persevere(exchange: Exchange, rounds: int = 6) -> None:
    """Does all open jobs as workers do, who put off what cannot be done now."""
    for _ in range(rounds):
        exchange.make_due()
        queue = Queue(exchange.database)
        for job in [job for lane in Lane for job in queue.lease(lane, 50, "test", 30)]:
            attempt(exchange, queue, job)


def attempt(exchange: Exchange, queue: Queue, job: Job) -> None:
    handler = exchange.handlers[job.kind]
    try:
        prepared = handler.prepare(job)
    except Retry as retry:
        queue.retry(job, retry.reason, after=retry.after, failed=False)
        return
    with exchange.database.transaction() as tx:
        handler.apply(tx, job, prepared)
        finish(tx, job)


def ours(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """What the bot's accounts have posted, by URI."""
    return {
        uri: post["value"]
        for uri, post in exchange.bluesky.posts.items()
        if exchange.bot.wrote(uri)
    }


def told(exchange: Exchange) -> list[str]:
    """The DIDs that posts of ours notify or answer, one entry for each time."""
    found: list[str] = []
    for post in ours(exchange).values():
        if "reply" in post:
            found.append(post["reply"]["parent"]["uri"].removeprefix("at://").split("/")[0])
        else:
            found += [did for facet in post["facets"] for did in mentioned(facet)]
    return sorted(found)


def test_replies_come_from_all_accounts_and_each_person_hears_from_one(team: Exchange) -> None:
    first = [team.post(f"fan{n}", "@bot claim") for n in range(12)]
    again = [team.post(f"fan{n}", "@bot inventory") for n in range(12)]
    team.work()
    senders = [
        [reply.account for uri in uris if (reply := team.reply(uri))] for uris in (first, again)
    ]
    assert senders[0] == senders[1]
    assert set(senders[0]) == {team.bot.handle, *COURIERS}
    for uri in first + again:
        reply = team.reply(uri)
        assert reply is not None
        assert reply.uri is not None
        did = team.accounts[reply.account].bluesky.did
        assert reply.uri.startswith(f"at://{did}/")


def test_few_people_move_when_an_account_is_added(team: Exchange) -> None:
    fewer = Accounts([team.accounts[handle] for handle in (team.bot.handle, COURIERS[0])])
    dids = [f"did:plc:person{n}" for n in range(300)]
    moved = [did for did in dids if team.accounts.home(did) != fewer.home(did)]
    assert all(team.accounts.home(did) == COURIERS[1] for did in moved)
    assert 60 < len(moved) < 140


def test_an_account_without_points_leaves_its_replies_to_another(team: Exchange) -> None:
    home = team.accounts.home("did:plc:fan")
    spend(team.database, home, 90)
    reply = team.hear("fan", "@bot claim")
    assert reply is not None
    assert reply.account != home
    assert reply.uri is not None


def test_a_reply_that_was_begun_never_changes_its_account(team: Exchange) -> None:
    uri = team.post("fan", "@bot claim")
    lost = ConnectionError("the answer got lost")
    home = team.accounts[team.accounts.home("did:plc:fan")]
    home.bluesky.fail = lost  # type: ignore[attr-defined]
    team.make_due()
    queue = Queue(team.database)
    for lane in Lane:
        for job in queue.lease(lane, 10, "test", 30):
            try:
                attempt(team, queue, job)
            except ConnectionError:
                queue.retry(job, "lost", after=utcnow() - utcnow(), failed=True)
    home.bluesky.fail = None  # type: ignore[attr-defined]
    spend(team.database, home.handle, 90)
    persevere(team)
    reply = team.reply(uri)
    assert reply is not None
    assert reply.account == home.handle
    assert reply.state is ReplyState.PENDING


def test_somebody_may_answer_a_couriers_post(team: Exchange) -> None:
    team.work()
    offered = None
    for n in range(20):  # until a courier brings the offer
        giver = f"giver{n}"
        team.say(giver, "@bot claim")
        [thing] = team.owned(giver)
        team.bluesky.join("friend")
        reply = team.hear(giver, f"@bot gift @friend {thing.name}")
        if reply and reply.account in COURIERS:
            offered = reply
            break
    assert offered is not None
    assert offered.uri is not None
    team.say("friend", "accept", answering=offered.uri)
    assert offered.object_id in [thing.id for thing in team.owned("friend")]


def test_the_bot_does_not_answer_its_couriers(team: Exchange) -> None:
    team.bluesky.join(COURIERS[0][:9])
    team.post(COURIERS[0][:9], "@bot claim")
    assert team.count("mentions") == 0


def test_when_points_run_out_digests_answer_everybody_once(team: Exchange) -> None:
    exhaust(team)
    uris = [team.post(f"fan{n}", "@bot claim") for n in range(13)]
    persevere(team)
    assert told(team) == sorted(f"did:plc:fan{n}" for n in range(13))
    assert {reply.state for uri in uris if (reply := team.reply(uri))} == {ReplyState.DIGESTED}
    posts = ours(team).values()
    assert 1 < len(posts) < 8
    for post in posts:
        assert graphemes(post["text"]) <= MOST_GRAPHEMES
        for facet in post["facets"]:
            index = facet["index"]
            named = post["text"].encode()[index["byteStart"] : index["byteEnd"]].decode()
            for did in mentioned(facet):
                assert team.bluesky.people[did].handle == named.removeprefix("@")


def test_without_points_for_digests_people_wait_and_are_answered_later(team: Exchange) -> None:
    exhaust(team, 100)
    uri = team.post("fan", "@bot claim")
    persevere(team)
    assert told(team) == []
    with team.database.transaction() as tx:
        tx.conn.execute("UPDATE write_points SET minute = minute - interval '2 hours'")
    persevere(team)
    assert told(team) == ["did:plc:fan"]
    assert team.reply(uri) is not None


def test_a_digest_leaves_out_who_opted_out_blocked_or_deleted(team: Exchange) -> None:
    exhaust(team)
    gone = team.post("gone", "@bot claim")
    for name in ("fan", "stopped", "blocker"):
        team.post(name, "@bot claim")
    persevere(team, rounds=1)
    del team.bluesky.posts[gone]
    team.bluesky.join("blocker", blocked=True)
    with team.database.transaction() as tx:
        tx.conn.execute("UPDATE users SET opted_out_at = now() WHERE did = 'did:plc:stopped'")
    persevere(team)
    assert told(team) == ["did:plc:fan"]


@pytest.mark.parametrize("moment", ["composed", "written"])
def test_a_digest_interrupted_at_any_step_answers_everybody_once(
    team: Exchange, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exhaust(team)
    for n in range(3):
        team.post(f"fan{n}", "@bot claim")
    persevere(team, rounds=2)  # the effects, then the replies that run short
    team.make_due()
    queue = Queue(team.database)
    [job] = [job for job in queue.lease(Lane.REPLIES, 50, "test", 0.01) if job.kind == "digest"]
    if moment == "composed":
        for account in team.accounts.in_turn(""):
            monkeypatch.setattr(account.bluesky, "fail", ConnectionError("killed"), raising=False)
        with pytest.raises(ConnectionError):
            team.handlers["digest"].prepare(job)
        monkeypatch.undo()
    else:
        team.handlers["digest"].prepare(job)  # on Bluesky, and killed before that was recorded
    persevere(team)
    assert told(team) == [f"did:plc:fan{n}" for n in range(3)]
    assert len(ours(team)) == 1


def test_a_reply_in_a_digest_is_not_sent_when_points_return(team: Exchange) -> None:
    exhaust(team)
    team.post("fan", "@bot claim")
    persevere(team)
    with team.database.transaction() as tx:
        tx.conn.execute("DELETE FROM write_points")
    persevere(team)
    assert told(team) == ["did:plc:fan"]


def test_the_farewell_waits_for_points_of_its_own(team: Exchange) -> None:
    team.say("fan", "@bot claim")
    exhaust(team)
    uri = team.post("fan", "@bot stop")
    persevere(team)
    reply = team.reply(uri)
    assert reply is not None
    assert reply.state is ReplyState.PENDING


def test_a_digest_of_offers_names_giver_and_friend(team: Exchange) -> None:
    team.say("giver", "@bot claim")
    [thing] = team.owned("giver")
    team.bluesky.join("friend")
    exhaust(team)
    team.post("giver", f"@bot gift @friend {thing.name}")
    persevere(team)
    [digest] = [post for post in ours(team).values() if "reply" not in post]
    assert "accept" in digest["text"]
    named = {did for facet in digest["facets"] for did in mentioned(facet)}
    assert named == {"did:plc:giver", "did:plc:friend"}
    assert all(POST in uri for uri in ours(team))
    team.post("friend", "@bot accept")
    persevere(team)
    assert [owned.id for owned in team.owned("friend")] == [thing.id]
