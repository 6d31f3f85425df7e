"""The load itself: what was planned arrives, from a seed, at the rates that were asked for; nothing
outside this machine is loaded."""

from collections import Counter
from pathlib import Path

import pytest

from tests.load import plan, run
from tests.load.site import Site, UnfitError


def test_a_seed_always_gives_the_same_load() -> None:
    assert plan.make("storm", 100, 5, 60, seed=3) == plan.make("storm", 100, 5, 60, seed=3)
    assert plan.make("storm", 100, 5, 60, seed=3) != plan.make("storm", 100, 5, 60, seed=4)


def test_a_steady_load_has_the_rates_and_the_mix_that_were_asked_for() -> None:
    planned = plan.make("steady", per_minute=600, pages=50, seconds=600, seed=1)
    assert len(planned.mentions) == pytest.approx(6_000, rel=0.05)
    assert len(planned.pages) == pytest.approx(30_000, rel=0.05)
    commands = Counter(event.what for event in planned.mentions)
    assert commands["claim"] / len(planned.mentions) == pytest.approx(0.7, abs=0.03)
    assert [event.at for event in planned.pages] == sorted(event.at for event in planned.pages)


def test_a_surge_is_ten_times_as_much_between_quiet_minutes() -> None:
    planned = plan.make("surge", per_minute=600, pages=0, seconds=300, seed=1)
    assert planned.seconds == 420
    minutes = Counter(int(event.at // 60) for event in planned.mentions)
    assert all(minutes[quiet] == pytest.approx(600, rel=0.2) for quiet in (0, 6))
    assert all(minutes[busy] == pytest.approx(6_000, rel=0.1) for busy in range(1, 6))


def test_in_a_storm_everybody_claims_within_a_minute() -> None:
    planned = plan.make("storm", per_minute=60, pages=0, seconds=180, seed=1)
    claims = [event for event in planned.mentions if event.what == "claim"]
    within = [event for event in claims if 60 <= event.at < 120]
    assert len(within) >= 600
    assert len(claims) - len(within) < 150


def test_what_the_network_cannot_take_goes_to_the_ingest() -> None:
    planned = plan.make("steady", per_minute=600, pages=0, seconds=60, seed=1)
    load = run.Load(planned, "steady", seed=1, network_most=60)
    posted, stored = run.share(load)
    assert 60 <= len(posted) <= 75
    assert sorted([*posted, *stored], key=lambda event: event.at) == list(planned.mentions)


@pytest.mark.parametrize("url", ["https://bsky.social", ""])
def test_the_real_bluesky_is_never_loaded(url: str) -> None:
    with pytest.raises(UnfitError, match="nobody may load"):
        _site(url, "http://localhost:1").check(elsewhere=True)


def test_a_stack_elsewhere_is_loaded_only_when_that_is_said() -> None:
    elsewhere = _site("http://localhost:2", "https://etcetera.exchange")
    with pytest.raises(UnfitError, match="--yes-really"):
        elsewhere.check(elsewhere=False)
    elsewhere.check(elsewhere=True)


def _site(bluesky: str, web: str) -> Site:
    outputs = {
        "endpoints": {"bluesky_url": bluesky},
        "web_url": web,
        "database_url": "postgresql://u:p@127.0.0.1:1,127.0.0.1:2/etcetera",
    }
    return Site("stack", Path("/nowhere"), outputs)
