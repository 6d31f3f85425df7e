"""Decides: the daily claim on real PostgreSQL, also when many come at once. What objects look like
is decided by tests/unit/domain."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from app.db import Database
from app.domain.claims import AlreadyClaimed, Claimed, ClaimOutcome, claim
from app.repository import objects, transactions
from tests.integration.core.conftest import NOON, SECRET, World

pytestmark = pytest.mark.integration

URI = "at://did:plc:ann/app.bsky.feed.post/3k"


def run(database: Database, world: World, uri: str | None, now: datetime = NOON) -> ClaimOutcome:
    ann = world.person("ann")
    with database.transaction() as tx:
        return claim(tx, ann, uri, now, secret=SECRET)


def test_a_claim_gives_an_object_with_its_first_entry_in_the_ledger(
    database: Database, world: World
) -> None:
    outcome = run(database, world, URI)
    assert isinstance(outcome, Claimed)
    with database.read() as conn:
        assert objects.get(conn, outcome.object.id) == outcome.object
        (entry,) = transactions.of_object(conn, outcome.object.id)
    assert (entry.kind, entry.from_did, entry.to_handle) == ("claim", None, "ann.test")


def test_a_second_claim_on_the_same_day_shows_the_first_object_and_when_to_return(
    database: Database, world: World
) -> None:
    first = run(database, world, URI)
    second = run(database, world, URI + "2", NOON + timedelta(hours=11, minutes=59))
    assert isinstance(first, Claimed)
    assert second == AlreadyClaimed(first.object, datetime(2026, 3, 5, tzinfo=UTC))


def test_the_next_utc_day_brings_another_object(database: Database, world: World) -> None:
    first = run(database, world, URI, datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC))
    second = run(database, world, URI + "2", datetime(2026, 3, 5, tzinfo=UTC))
    assert isinstance(first, Claimed)
    assert isinstance(second, Claimed)
    assert first.object.id != second.object.id


@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=1), timedelta(days=3)])
def test_a_mention_delivered_again_gets_the_same_answer_on_any_day(
    database: Database, world: World, later: timedelta
) -> None:
    first = run(database, world, URI)
    assert run(database, world, URI, NOON + later) == first
    assert world.count("objects") == 1


def test_fifty_claims_of_one_user_at_once_make_one_object(database: Database, world: World) -> None:
    world.person("ann")
    with ThreadPoolExecutor(50) as pool:
        outcomes = list(pool.map(lambda n: run(database, world, f"{URI}{n}"), range(50)))
    assert sum(isinstance(outcome, Claimed) for outcome in outcomes) == 1
    assert len({outcome.object.id for outcome in outcomes}) == 1
    assert [world.count(table) for table in ("objects", "claims", "transactions")] == [1, 1, 1]


def test_one_mention_delivered_twenty_times_at_once_gets_one_answer(
    database: Database, world: World
) -> None:
    world.person("ann")
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda _: run(database, world, URI), range(20)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert isinstance(outcomes[0], Claimed)


def test_a_claim_that_is_rolled_back_draws_the_same_object_again(
    database: Database, world: World
) -> None:
    ann = world.person("ann")
    with pytest.raises(RuntimeError), database.transaction() as tx:  # noqa: PT012
        lost = claim(tx, ann, URI, NOON, secret=SECRET)
        raise RuntimeError
    kept = run(database, world, URI)
    assert (kept.object.seed, kept.object.name) == (lost.object.seed, lost.object.name)
    assert world.count("objects") == 1
