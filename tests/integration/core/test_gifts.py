"""Decides: offers, answers and their races on real PostgreSQL. Finding out who "@handle" is and who
blocks whom is left to the bot's suites."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from app.db import Database
from app.domain import gifts
from app.domain.accounts import opt_in, opt_out
from app.domain.gifts import (
    Accepted,
    AlreadyOffered,
    Ambiguous,
    Declined,
    Expired,
    NoSuchObject,
    NothingPending,
    NotOwner,
    Offered,
    OfferOutcome,
    RecipientUnavailable,
    Several,
    ToSelf,
)
from app.ids import new_id, short
from app.models import GiftStatus, Object, User
from app.repository import gifts as stored_gifts
from app.repository import objects, transactions
from tests.integration.core.conftest import NOON, World

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)


@pytest.fixture
def ann(world: World) -> User:
    return world.person("ann")


@pytest.fixture
def bob(world: World) -> User:
    return world.person("bob")


@pytest.fixture
def teapot(world: World, ann: User) -> Object:
    thing = world.object_of(ann)
    world.rename(thing, "Polite Teapot of Second Thoughts")
    with world.database.read() as conn:
        renamed = objects.get(conn, thing.id)
    assert renamed is not None
    return renamed


def offer(
    database: Database, giver: User, to: User, query: str, uri: str | None = None
) -> OfferOutcome:
    with database.transaction() as tx:
        return gifts.offer(tx, giver, to.did, to.handle, query, uri, NOON)


def offered(database: Database, giver: User, to: User, query: str) -> UUID:
    outcome = offer(database, giver, to, query)
    assert isinstance(outcome, Offered)
    return outcome.gift.id


def test_an_accepted_gift_changes_the_owner_and_adds_one_entry_to_the_ledger(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    gift_id = offered(database, ann, bob, teapot.name)
    with database.transaction() as tx:
        outcome = gifts.accept(tx, bob, gift_id, NOON)
    assert isinstance(outcome, Accepted)
    assert outcome.gift.status is GiftStatus.ACCEPTED
    assert outcome.object.owner_did == bob.did
    with database.read() as conn:
        latest, first = transactions.of_object(conn, teapot.id)
    assert (latest.from_did, latest.to_did, latest.gift_id) == (ann.did, bob.did, gift_id)
    assert first.kind == "claim"


def test_an_offer_alone_changes_no_owner(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    offered(database, ann, bob, teapot.name)
    with database.read() as conn:
        assert objects.get(conn, teapot.id) == teapot


@pytest.mark.parametrize(
    "query",
    [
        "Polite Teapot of Second Thoughts",
        "  polite   TEAPOT of second thoughts ",
        "pólite téapot of second thoughts",
        "teapot",
        "second teapot",
    ],
)
def test_an_object_is_found_by_name_without_regard_to_case_accents_and_spaces(
    database: Database, ann: User, bob: User, teapot: Object, query: str
) -> None:
    outcome = offer(database, ann, bob, query)
    assert isinstance(outcome, Offered)
    assert outcome.object == teapot


def test_an_object_is_found_by_the_first_or_last_digits_of_its_id(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    world.object_of(ann, days_ago=1)
    for query in (str(teapot.id), teapot.id.hex, short(teapot.id), f"#{short(teapot.id).upper()}"):
        with database.read() as conn:
            assert objects.matching(conn, ann.did, query) == [teapot]
    assert isinstance(offer(database, ann, bob, f"#{short(teapot.id)}"), Offered)


def test_a_name_that_two_objects_share_is_ambiguous(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    other = world.object_of(ann, days_ago=1)
    world.rename(other, "Jolly Teapot")
    outcome = offer(database, ann, bob, "teapot")
    assert isinstance(outcome, Ambiguous)
    assert {match.id for match in outcome.matches} == {teapot.id, other.id}


def test_a_whole_name_wins_over_names_that_contain_it(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    other = world.object_of(ann, days_ago=1)
    world.rename(other, "Polite Teapot")
    outcome = offer(database, ann, bob, "polite teapot")
    assert isinstance(outcome, Offered)
    assert outcome.object.id == other.id
    assert outcome.object.id != teapot.id


def test_an_unknown_name_comes_back_with_suggestions(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    assert offer(database, ann, bob, "the teapot I like") == NoSuchObject(
        "the teapot I like", (teapot,)
    )
    assert offer(database, ann, bob, "xyzzy") == NoSuchObject("xyzzy")
    assert offer(database, ann, bob, "") == NoSuchObject("")


def test_what_belongs_to_others_cannot_be_given(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    del ann
    assert offer(database, bob, bob, teapot.name) == ToSelf()
    carla = User("did:plc:carla", "carla.test", None, None, NOON, NOON)
    assert offer(database, bob, carla, teapot.name) == NotOwner(teapot.name)


def test_whoever_opted_out_is_offered_nothing_until_they_return(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    with database.transaction() as tx:
        gone = opt_out(tx, bob)
    assert gone.opted_out
    assert offer(database, ann, bob, teapot.name) == RecipientUnavailable("bob.test")
    with database.transaction() as tx:
        assert not opt_in(tx, bob).opted_out
    assert isinstance(offer(database, ann, bob, teapot.name), Offered)


def test_opting_out_ends_the_offers_to_and_from_somebody(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    to_bob = offered(database, ann, bob, teapot.name)
    from_bob = offered(database, bob, ann, short(world.object_of(bob).id))
    with database.transaction() as tx:
        opt_out(tx, bob)
        statuses = [stored_gifts.get(tx.conn, each) for each in (to_bob, from_bob)]
    assert [gift.status for gift in statuses if gift] == ["declined", "withdrawn"]


def test_offering_the_same_to_the_same_person_again_changes_nothing(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    gift_id = offered(database, ann, bob, teapot.name)
    outcome = offer(database, ann, bob, teapot.name)
    assert isinstance(outcome, AlreadyOffered)
    assert outcome.gift.id == gift_id


def test_offering_to_somebody_else_withdraws_the_earlier_offer(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    carla = world.person("carla")
    earlier = offered(database, ann, bob, teapot.name)
    outcome = offer(database, ann, carla, teapot.name)
    assert isinstance(outcome, Offered)
    assert outcome.replaced is not None
    assert (outcome.replaced.id, outcome.replaced.status) == (earlier, GiftStatus.WITHDRAWN)
    with database.transaction() as tx:
        assert gifts.accept(tx, bob, earlier, NOON) == NothingPending()
        assert isinstance(gifts.accept(tx, carla, None, NOON), Accepted)


def test_a_mention_delivered_again_offers_once_and_answers_the_same(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    uri = "at://did:plc:ann/app.bsky.feed.post/3k"
    first = offer(database, ann, bob, teapot.name, uri)
    assert isinstance(first, Offered)
    assert offer(database, ann, bob, teapot.name, uri) == first
    with database.transaction() as tx:
        gifts.accept(tx, bob, None, NOON)
    again = offer(database, ann, bob, teapot.name, uri)
    assert isinstance(again, Offered)
    assert again.gift.id == first.gift.id
    assert world.count("gifts") == 1


def test_accepting_again_gives_the_same_answer_and_no_second_entry(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    gift_id = offered(database, ann, bob, teapot.name)
    with database.transaction() as tx:
        first = gifts.accept(tx, bob, gift_id, NOON)
    with database.transaction() as tx:
        assert gifts.accept(tx, bob, gift_id, NOON + 2 * WEEK) == first
    assert world.count("transactions") == 2


def test_an_offer_can_be_accepted_until_the_moment_it_runs_out(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    gift_id = offered(database, ann, bob, teapot.name)
    with database.transaction() as tx:
        late = gifts.accept(tx, bob, gift_id, NOON + WEEK)
        assert isinstance(late, Expired)
        assert late.gift.status is GiftStatus.EXPIRED
        assert gifts.accept(tx, bob, None, NOON + WEEK) == NothingPending()
    gift_id = offered(database, ann, bob, teapot.name)
    with database.transaction() as tx:
        assert isinstance(gifts.accept(tx, bob, gift_id, NOON + WEEK - SECOND), Accepted)


def test_a_declined_gift_stays_and_can_be_offered_again(
    database: Database, ann: User, bob: User, teapot: Object
) -> None:
    gift_id = offered(database, ann, bob, teapot.name)
    with database.transaction() as tx:
        assert isinstance(gifts.decline(tx, bob, None, NOON), Declined)
        assert isinstance(gifts.decline(tx, bob, gift_id, NOON), Declined)
        assert gifts.accept(tx, bob, gift_id, NOON) == NothingPending()
    offered(database, ann, bob, teapot.name)


def test_answering_without_saying_which_of_several_lists_them_oldest_first(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    other = world.object_of(ann, days_ago=1)
    ids = [offered(database, ann, bob, short(thing.id)) for thing in (teapot, other)]
    with database.transaction() as tx:
        outcome = gifts.accept(tx, bob, None, NOON)
    assert isinstance(outcome, Several)
    assert [gift.id for gift in outcome.gifts] == ids


def test_only_the_recipient_can_accept(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    gift_id = offered(database, ann, bob, teapot.name)
    with database.transaction() as tx:
        assert gifts.accept(tx, world.person("carla"), gift_id, NOON) == NothingPending()
        assert gifts.accept(tx, ann, gift_id, NOON) == NothingPending()
        assert gifts.accept(tx, bob, new_id(), NOON) == NothingPending()


def test_accepting_thirty_times_at_once_makes_one_entry(
    database: Database, world: World, ann: User, bob: User, teapot: Object
) -> None:
    gift_id = offered(database, ann, bob, teapot.name)

    def accept(_: int) -> bool:
        with database.transaction() as tx:
            return isinstance(gifts.accept(tx, bob, gift_id, NOON), Accepted)

    with ThreadPoolExecutor(30) as pool:
        assert all(pool.map(accept, range(30)))
    assert world.count("transactions") == 2


def test_offers_to_twenty_people_at_once_leave_one_open_and_one_owner(
    database: Database, world: World, ann: User, teapot: Object
) -> None:
    people = [world.person(f"p{n}") for n in range(20)]

    def give_and_take(person: User) -> bool:
        offer(database, ann, person, short(teapot.id))
        with database.transaction() as tx:
            return isinstance(gifts.accept(tx, person, None, NOON), Accepted)

    with ThreadPoolExecutor(20) as pool:
        taken = sum(pool.map(give_and_take, people))
    assert taken == 1
    with database.read() as conn:
        thing = objects.get(conn, teapot.id)
        latest, _ = transactions.of_object(conn, teapot.id)
    assert thing is not None
    assert thing.owner_did == latest.to_did != ann.did
    assert world.count("transactions") == 2
