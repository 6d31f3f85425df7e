"""Decides when replies leave the rest of an address's requests to those who read mentions."""

from datetime import timedelta

import pytest

from app.bot.courtesy import Courtesy
from app.clock import utcnow
from app.errors import Retry


def headers(remaining: int, window: int = 300, ends_in: int = 120) -> dict[str, str]:
    return {
        "ratelimit-limit": "3000",
        "ratelimit-remaining": str(remaining),
        "ratelimit-reset": str(int((utcnow() + timedelta(seconds=ends_in)).timestamp())),
        "ratelimit-policy": f"3000;w={window}",
    }


def test_while_there_is_plenty_nobody_waits() -> None:
    courtesy = Courtesy()
    courtesy.check()
    courtesy.learn(headers(2000))
    courtesy.check()


def test_when_requests_get_scarce_replies_wait_for_the_next_window() -> None:
    courtesy = Courtesy()
    courtesy.learn(headers(800))
    with pytest.raises(Retry) as refusal:
        courtesy.check()
    assert timedelta(seconds=110) < refusal.value.after <= timedelta(seconds=120)


def test_a_new_window_ends_the_wait() -> None:
    courtesy = Courtesy()
    courtesy.learn(headers(0, ends_in=-1))
    courtesy.check()
    courtesy.learn(headers(10))
    courtesy.learn(headers(2999))
    courtesy.check()


def test_what_an_account_may_write_is_another_matter() -> None:
    courtesy = Courtesy()
    courtesy.learn(headers(0, window=3600))
    courtesy.learn({})
    courtesy.check()
