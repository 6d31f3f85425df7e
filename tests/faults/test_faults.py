"""The platform survives the loss of any of its parts. Each case says in its text what people may
feel of it and for how long; what it measured is printed at the end."""

import time

import pytest

from tests.faults.audit import audit, wait_for_answers
from tests.faults.cases import Case
from tests.faults.conftest import ROUNDS, Trial
from tests.faults.report import Measured
from tests.faults.traffic import Traffic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

QUIET_SECONDS = 3.0  # of traffic before the fault
STEADY_SECONDS = 3.0  # for which everything works before the fault counts as overcome
GIVEN_UP = 90.0
LEEWAY = 1 if ROUNDS else 10
"""The run of every day measures nothing: it decides that a fault is overcome, on a machine that may
be busy with anything. Nothing takes as long as one that is not."""
LONGEST_SECONDS = GIVEN_UP if ROUNDS else 60.0


def test_people_hardly_notice(case: Case, trial: Trial) -> None:
    platform = trial.platform
    platform.configure(**case.config)
    platform.wait_until_whole()
    bot = (platform.network.bot_did, platform.network.bot_handle)
    with (
        platform.site.database(connections=4) as database,
        Traffic(platform.outputs["web_url"], database, trial.people, bot, trial.ledger) as traffic,
    ):
        time.sleep(QUIET_SECONDS)
        given_up = time.monotonic() + GIVEN_UP
        while not (traffic.writes.steady(2) and traffic.pages.steady(2)):
            errors = (traffic.writes.errors, traffic.pages.errors)
            assert time.monotonic() < given_up, errors
            time.sleep(0.2)
        begin = time.monotonic()
        end_of_fault = case.inject(platform)
        try:
            _until(begin + case.hold)
            while not (traffic.writes.steady(STEADY_SECONDS) and traffic.pages.steady(2)):
                if time.monotonic() > begin + case.hold + GIVEN_UP:
                    break
                time.sleep(0.2)
        finally:
            end_of_fault()
        _until(time.monotonic() + STEADY_SECONDS)
        end = time.monotonic()
    answers = wait_for_answers(platform, traffic.posted)
    platform.wait_until_whole()
    found = audit(platform, trial.ledger, traffic.posted, trial.missed)
    measured = Measured(
        when=case.when,
        writes=traffic.writes.silence(begin, end),
        pages=traffic.pages.silence(begin, end),
        effect=answers.effect,
        reply=answers.reply,
        pages_failed=traffic.pages.errors.total(),
        **vars(found),
    )
    trial.note(measured)
    broken = [
        f"{what}: {value:.1f} s, not {most:g}"
        for what, value, most in (
            ("writes", measured.writes, min(LONGEST_SECONDS, LEEWAY * case.writes)),
            ("pages", measured.pages, min(LONGEST_SECONDS, LEEWAY * case.pages)),
            ("answers", measured.reply, LEEWAY * case.answers),
        )
        if value > most
    ]
    broken += [
        f"{name}: {number}"
        for name, number in vars(found).items()
        if number and (case.lossless or name != "writes_lost")
    ]
    assert not broken, f"{case.text}. But: {', '.join(broken)}"


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
