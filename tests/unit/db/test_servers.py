"""Decides, without servers: what lag means, which replicas may be read from and where writes go.
That real servers answer as is assumed here is decided by tests/integration/routing."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.servers import (
    BLIND_SECONDS,
    CAUGHT_UP,
    MAX_LAG,
    PRIMARY,
    VALID_SECONDS,
    History,
    Sample,
    Servers,
)


class Clock:
    """Time as the servers' answers carry it."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.db.servers.time.monotonic", clock)
    return clock


class World:
    """Three servers that say what a test wants."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.servers = Servers(("a", "b", "c"), readable=("a", "b", "c"))
        self.servers.awake.set()

    def primary(self, name: str, position: int, timeline: int = 1) -> bool:
        return self.servers.answered(name, self._sample(position, timeline))

    def replica(self, name: str, position: int) -> bool:
        return self.servers.answered(name, self._sample(position, 0))

    def readable(self) -> list[str]:
        return sorted(server.name for server in self.servers.replicas())

    def _sample(self, position: int, timeline: int) -> Sample:
        return Sample(self.clock.now, self.clock.now, position, timeline)


@pytest.fixture
def world(clock: Clock) -> World:
    world = World(clock)
    world.primary("a", 100)
    world.replica("b", 100)
    world.replica("c", 100)
    return world


def test_replicas_are_read_from_and_the_primary_is_not(world: World) -> None:
    assert world.readable() == ["b", "c"]


def test_a_replica_that_lacks_something_for_too_long_is_ejected_until_it_is_close(
    world: World, clock: Clock
) -> None:
    world.primary("a", 200)
    clock.now += MAX_LAG * 0.9
    world.replica("b", 199)
    world.replica("c", 200)
    assert world.readable() == ["b", "c"]
    clock.now += MAX_LAG * 0.2
    world.replica("b", 199)
    world.replica("c", 200)
    assert world.readable() == ["c"]
    world.primary("a", 300)
    clock.now += (MAX_LAG + CAUGHT_UP) / 2
    world.replica("b", 250)  # nearer than the limit, but not near
    world.replica("c", 250)
    assert world.readable() == ["c"]
    world.replica("b", 300)
    assert world.readable() == ["b", "c"]


def test_a_replica_that_says_nothing_is_left_alone_before_it_is_given_up(
    world: World, clock: Clock
) -> None:
    clock.now += VALID_SECONDS * 0.8
    world.replica("c", 100)
    clock.now += VALID_SECONDS * 0.8
    assert world.readable() == ["c"]


def test_replicas_serve_alone_for_a_while(world: World, clock: Clock) -> None:
    world.servers.lost("a")
    clock.now += BLIND_SECONDS * 0.9
    world.replica("b", 100)
    assert world.readable() == ["b"]
    clock.now += BLIND_SECONDS * 0.2
    world.replica("b", 100)
    assert world.readable() == []


def test_before_the_primary_is_known_nobody_is_fresh(clock: Clock) -> None:
    world = World(clock)
    world.replica("b", 100)
    assert world.readable() == []
    assert world.servers.newest == PRIMARY


def test_after_a_time_without_reads_the_first_goes_to_the_primary(
    world: World, clock: Clock
) -> None:
    world.servers.replicas()
    clock.now += 60
    world.servers.doze()
    world.primary("a", 100)
    world.replica("b", 100)
    assert world.readable() == []
    assert world.servers.awake.is_set()
    assert world.readable() == ["b"]


def test_the_less_busy_replica_comes_first_and_equals_take_turns(world: World) -> None:
    first = [world.servers.replicas()[0].name for _ in range(4)]
    assert sorted(first) == ["b", "b", "c", "c"]
    busy = world.servers.replicas()[0]
    world.servers.taken(busy, 1)
    assert all(world.servers.replicas()[0] is not busy for _ in range(4))


def test_a_promotion_makes_its_server_the_primary_and_the_old_one_unwritable(
    world: World,
) -> None:
    assert world.primary("b", 90, timeline=2)
    assert world.servers.primary == "b"
    assert not world.primary("a", 120, timeline=1), "it does not know yet"
    assert world.servers.primary == "b"
    # What the old primary wrote last is lost, and nobody has to have it.
    world.replica("c", 90)
    assert world.readable() == ["c"]
    assert world.servers.newest == 90
    assert not world.replica("a", 90)
    assert world.readable() == ["a", "c"]


def test_writers_look_where_somebody_answers(world: World, clock: Clock) -> None:
    everywhere = ["a", "b", "c"]
    assert world.servers.worth_trying(everywhere) == ["a"]
    clock.now += 10
    world.servers.lost("a")
    world.replica("b", 100)
    assert world.servers.worth_trying(everywhere) == ["b"]
    world.servers.lost("b")
    assert world.servers.worth_trying(everywhere) == everywhere
    world.primary("c", 100, timeline=2)
    assert world.servers.worth_trying(everywhere) == ["c"]
    assert world.servers.worth_trying(["a"]) == ["a"], "another address of it, perhaps"


@given(
    steps=st.lists(st.integers(min_value=0, max_value=50), min_size=1, max_size=60),
    behind=st.integers(min_value=0, max_value=59),
)
def test_lag_is_the_age_of_the_oldest_position_that_is_lacking(
    steps: Sequence[int], behind: int
) -> None:
    history, position = History(), 1
    seen: dict[int, float] = {}
    for at, step in enumerate(steps):
        position += step
        history.add(position, float(at))
        seen.setdefault(position, float(at))
    positions = list(seen)
    replayed = positions[max(0, len(positions) - 1 - behind)]
    lacking = [at for place, at in seen.items() if place > replayed]
    assert history.lag(replayed, 1_000.0) == (1_000.0 - min(lacking) if lacking else 0.0)
