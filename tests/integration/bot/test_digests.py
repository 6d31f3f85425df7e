"""Decides how several accounts share the replies, and how digests answer when points run out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from app.bot import digests
from app.bot.accounts import Accounts
from app.bot.bluesky import POST, Limited
from app.bot.consent import mentioned
from app.bot.richtext import MOST_GRAPHEMES, graphemes
from app.clock import utcnow
from app.db import Database, Transaction
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


class Killed(BaseException):
    """The end of a worker, in the middle of whatever it does."""


@dataclass
class Fate:
    """Kills a worker at one of the moments before or after something is committed or sent."""

    moments: int = 0
    at: int | None = None

    def tick(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            raise Killed


@pytest.fixture
def fate(monkeypatch: pytest.MonkeyPatch, team: Exchange) -> Fate:
    fate = Fate()
    transaction = Database.transaction

    @contextmanager
    def mortal(self: Database) -> Iterator[Transaction]:
        with transaction(self) as tx:
            yield tx
            fate.tick()
        fate.tick()

    def posting(bluesky: Any) -> None:
        put_post = bluesky.put_post

        def put(*args: Any) -> Any:
            fate.tick()
            ref = put_post(*args)
            fate.tick()
            return ref

        monkeypatch.setattr(bluesky, "put_post", put)

    monkeypatch.setattr(Database, "transaction", mortal)
    for account in team.accounts.in_turn(""):
        posting(account.bluesky)
    return fate


def live_and_die(exchange: Exchange, rounds: int = 6) -> None:
    """As `persevere`; who is killed leaves leases behind, which run out."""
    for _ in range(rounds):
        with suppress(Killed):
            exchange.make_due()
            with exchange.database.transaction() as tx:
                tx.conn.execute("UPDATE jobs SET lease_until = now() WHERE state = 'leased'")
            queue = Queue(exchange.database)
            for job in [job for lane in Lane for job in queue.lease(lane, 50, "test", 30)]:
                attempt(exchange, queue, job)


@pytest.mark.parametrize("points_return", [False, True])
def test_whoever_is_killed_at_any_moment_everybody_is_answered_once(
    team: Exchange, fate: Fate, monkeypatch: pytest.MonkeyPatch, points_return: bool
) -> None:
    """Rounds with another moment to die at each, until one round ends before its moment came."""
    everybody: list[str] = []
    for number in itertools.count(1):
        with team.database.transaction() as tx:
            tx.conn.execute("DELETE FROM write_points")
        exhaust(team)
        # Another minute, for which a digest may be asked.
        later = timedelta(minutes=number)
        monkeypatch.setattr(digests, "utcnow", lambda later=later: utcnow() + later)
        people = [f"fan{number}of{n}" for n in range(2)]
        everybody += [f"did:plc:{name}" for name in people]
        for name in people:
            team.post(name, "@bot help")  # without a picture, which takes long
        live_and_die(team, rounds=1)  # the effects
        fate.moments, fate.at = 0, number
        live_and_die(team, rounds=1)
        if points_return:
            with suppress(Killed), team.database.transaction() as tx:
                tx.conn.execute("DELETE FROM write_points")
        live_and_die(team, rounds=5)
        survived, fate.at = fate.moments < number, None
        live_and_die(team)
        assert told(team) == sorted(everybody), f"killed at moment {number}"
        if survived:
            break
    assert number > 20
    with team.database.read() as conn:
        open_jobs = conn.execute("SELECT FROM jobs WHERE state IN ('waiting', 'leased')")
        assert open_jobs.fetchall() == []


@pytest.fixture
def meanwhile(team: Exchange, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets something happen once, while a worker asks whether somebody may be answered."""

    def plan(action: Callable[[], object]) -> None:
        author = team.bluesky.author

        def ask(uri: str) -> Any:
            monkeypatch.setattr(team.bluesky, "author", author)
            action()
            return author(uri)

        monkeypatch.setattr(team.bluesky, "author", ask)

    return plan


def run_short(team: Exchange) -> tuple[Job, Job]:
    """Somebody's reply for which there were no points, and the digest that follows."""
    exhaust(team)
    team.post("fan", "@bot claim")
    persevere(team, rounds=2)
    team.make_due()
    with team.database.transaction() as tx:
        tx.conn.execute("DELETE FROM write_points")
    jobs = {job.kind: job for job in Queue(team.database).lease(Lane.REPLIES, 9, "test", 30)}
    return jobs["reply"], jobs["digest"]


def test_a_reply_that_is_begun_while_a_digest_is_composed_is_not_in_it(
    team: Exchange, meanwhile: Callable[..., None]
) -> None:
    reply, digest = run_short(team)
    meanwhile(lambda: team.handlers["reply"].prepare(reply))  # posted, not recorded yet
    attempt(team, Queue(team.database), digest)
    assert told(team) == ["did:plc:fan"]


def test_a_reply_left_to_a_digest_in_the_last_moment_is_not_sent(
    team: Exchange, meanwhile: Callable[..., None]
) -> None:
    reply, digest = run_short(team)
    meanwhile(lambda: team.handlers["digest"].prepare(digest))
    attempt(team, Queue(team.database), reply)
    assert told(team) == ["did:plc:fan"]


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


def test_a_person_who_blocks_a_courier_hears_from_the_account_they_mentioned(
    team: Exchange, couriers: list[FakeBluesky]
) -> None:
    fan = next(f"fan{n}" for n in range(99) if team.accounts.home(f"did:plc:fan{n}") in COURIERS)
    for courier in couriers:
        team.bluesky.foes.append({courier.did, f"did:plc:{fan}"})
    reply = team.hear(fan, "@bot claim")
    assert reply is not None
    assert (reply.account, reply.state) == (team.bot.handle, ReplyState.SENT)


def test_replies_of_a_suspended_courier_are_sent_by_others(
    team: Exchange, couriers: list[FakeBluesky]
) -> None:
    couriers[0].refused = True
    uris = [team.post(f"fan{n}", "@bot claim") for n in range(12)]
    persevere(team)
    assert told(team) == sorted(f"did:plc:fan{n}" for n in range(12))
    accounts = {reply.account for uri in uris if (reply := team.reply(uri))}
    assert accounts == {team.bot.handle, COURIERS[1]}


def test_what_the_server_has_no_points_for_is_sent_by_another_account(team: Exchange) -> None:
    home = team.accounts[team.accounts.home("did:plc:fan")]
    home.bluesky.fail = limited()  # type: ignore[attr-defined]
    uri = team.post("fan", "@bot claim")
    persevere(team, rounds=2)
    spend(team.database, home.handle, 90)  # as the budget learns from the refusal
    persevere(team)
    reply = team.reply(uri)
    assert reply is not None
    assert reply.state is ReplyState.SENT
    assert reply.account != home.handle


def test_a_digest_the_server_has_no_points_for_is_sent_by_another_account(team: Exchange) -> None:
    exhaust(team)
    home = team.accounts[team.accounts.home("did:plc:fan")]
    home.bluesky.fail = limited()  # type: ignore[attr-defined]
    uri = team.post("fan", "@bot claim")
    persevere(team, rounds=4)
    assert told(team) == []
    spend(team.database, home.handle, 10)
    persevere(team)
    assert told(team) == ["did:plc:fan"]
    reply = team.reply(uri)
    assert reply is not None
    assert reply.state is ReplyState.DIGESTED


def test_a_mention_the_appview_does_not_know_yet_holds_up_nobody(team: Exchange) -> None:
    exhaust(team)
    unseen = team.post("unseen", "@bot claim", source="firehose")
    hidden = team.bluesky.posts.pop(unseen)
    team.post("fan", "@bot claim")
    with team.database.transaction() as tx:  # as if both had been known when they ran short
        tx.conn.execute("UPDATE replies SET short_at = now()")
    persevere(team)
    assert told(team) == ["did:plc:fan"]
    team.bluesky.posts[unseen] = hidden
    with team.database.transaction() as tx:
        tx.conn.execute("DELETE FROM write_points")
    persevere(team)
    assert told(team) == ["did:plc:fan", "did:plc:unseen"]


def test_who_stops_after_a_digest_was_composed_is_not_in_it(team: Exchange) -> None:
    exhaust(team)
    uris = {name: team.post(name, "@bot claim") for name in ("fan", "leaver")}
    for account in team.accounts.in_turn(""):
        account.bluesky.fail = Retry(timedelta(seconds=5), "away")  # type: ignore[attr-defined]
    persevere(team)
    with team.database.transaction() as tx:
        tx.conn.execute("UPDATE users SET opted_out_at = now() WHERE did = 'did:plc:leaver'")
    for account in team.accounts.in_turn(""):
        account.bluesky.fail = None  # type: ignore[attr-defined]
    persevere(team)
    [digest] = ours(team).values()
    assert "fan.test" in digest["text"]
    assert "leaver" not in digest["text"]
    reply = team.reply(uris["leaver"])
    assert reply is not None
    assert (reply.state, reply.reason) == (ReplyState.WITHHELD, "opted out")


def test_accept_below_a_digest_means_the_offer_in_it(team: Exchange) -> None:
    team.bluesky.join("friend")
    for giver in ("giver", "other"):
        team.say(giver, "@bot claim")
    [thing], [another] = team.owned("giver"), team.owned("other")
    team.say("other", f"@bot gift @friend {another.name}")
    exhaust(team)
    team.post("giver", f"@bot gift @friend {thing.name}")
    persevere(team)
    [uri] = [uri for uri, post in ours(team).items() if "reply" not in post]
    team.post("friend", "accept", answering=uri)
    persevere(team)
    assert [owned.id for owned in team.owned("friend")] == [thing.id]


def test_words_go_without_a_picture_when_no_more_may_be_uploaded(
    team: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = 0

    def refuse(_: bytes) -> dict[str, Any]:
        nonlocal uploads
        uploads += 1
        raise Limited(timedelta(hours=3), {"ratelimit-policy": "1000;w=86400"})

    for account in team.accounts.in_turn(""):
        monkeypatch.setattr(account.bluesky, "upload_png", refuse)
    for n in range(3):
        reply = team.hear(f"fan{n}", "@bot claim")
        assert reply is not None
        assert reply.state is ReplyState.SENT
    assert uploads == 1
    assert all("embed" not in post for post in ours(team).values())


def limited() -> Limited:
    """The server's word that an account has no points left."""
    return Limited(
        timedelta(minutes=50),
        {
            "ratelimit-limit": "5000",
            "ratelimit-remaining": "0",
            "ratelimit-reset": str(int(utcnow().timestamp()) + 3000),
            "ratelimit-policy": "5000;w=3600",
        },
    )
