"""Decides that docs/parity.md is true, and that no option is left aside without a reason."""

import pytest

from infra.engine import program
from tests.contract.parity import CASES, DOCUMENT, IDLE, TARGETS, Case, document, paths, row
from tests.program.aws.stubs import aws_target
from tests.recording import RecordingMonitor


def test_the_documentation_says_what_options_do() -> None:
    assert DOCUMENT.read_text() == document(), "run: .venv/bin/python -m tests.contract.parity"


def test_what_makes_no_difference_is_known_with_its_reason() -> None:
    idle = {
        (case.title, option.path, target)
        for case in CASES
        for option in case.options
        for target in TARGETS
        if row(case, option, target).startswith("idle")
    }
    assert idle == IDLE.keys()


def test_every_option_works_somewhere() -> None:
    for case in CASES:
        works = {
            option.path
            for option in case.options
            for target in TARGETS
            if row(case, option, target) == "works"
        }
        assert works == {option.path for option in case.options}


def test_a_refusal_says_what_to_do_instead() -> None:
    said = [row(case, option, "aws") for case in CASES for option in case.options]
    assert all(len(one) > len("refused: ") + 20 for one in said if one.startswith("refused"))


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.kind], ids=lambda one: one.name
)
def test_every_option_of_a_component_is_in_the_table(case: Case) -> None:
    found: list[str] = []

    def declare() -> None:
        target = aws_target(2)
        found.extend(paths(case.args(target)))

    program.run(RecordingMonitor(), "test", {}, preview=False, program=declare)
    assert sorted(found) == sorted({option.path for option in case.options})
