"""Decides when a process counts as dead although it runs."""

import pytest

from infra.local import pulse
from infra.local.pulse import Pulse
from infra.local.spec import Liveness


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pulse, "time", clock)
    return clock


def liveness(failures: int) -> Liveness:
    return Liveness.model_validate({"intervalSeconds": 1, "failures": failures})


def test_failures_in_a_row_end_it_and_a_success_forgives_them(clock: Clock) -> None:  # noqa: ARG001
    felt = Pulse(liveness(failures=2), grace=0)
    assert [felt.lost(e) for e in ("silent", None, "silent", "silent")] == [
        False,
        False,
        False,
        True,
    ]


def test_a_slow_start_is_spared_until_the_first_success(clock: Clock) -> None:
    felt = Pulse(liveness(failures=1), grace=60)
    assert not felt.lost("not there yet")
    assert not felt.lost(None)
    clock.now += 1
    assert felt.lost("silent")


def test_what_has_started_is_spared_no_longer(clock: Clock) -> None:  # noqa: ARG001
    felt = Pulse(liveness(failures=2), grace=60)
    felt.started()
    assert [felt.lost("silent") for _ in range(2)] == [False, True]


def test_a_start_that_takes_longer_than_its_grace_is_not_spared(clock: Clock) -> None:
    felt = Pulse(liveness(failures=1), grace=60)
    clock.now += 60
    assert felt.lost("not there yet")


def test_looks_keep_their_pace_however_long_each_takes(clock: Clock) -> None:
    felt = Pulse(liveness(failures=9), grace=0)
    assert felt.pause == 0
    clock.now += 0.4
    felt.lost("silent for 0.4 s")
    assert felt.pause == pytest.approx(0.6)
    clock.now += 5
    felt.lost("silent for longer than the interval")
    assert felt.pause == 0
