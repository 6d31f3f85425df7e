"""Decides whether whoever runs a released version can go on with today's program.

A recording holds what the program of that version declared, made by `python -m tests.upgrade`.
What the Pulumi engine does beyond its documented rules is not decided here.
"""

import pytest

from infra.engine import review
from infra.engine.comparison import Declared, Snapshot, compare
from tests.program.aws.stacks import STACKS
from tests.upgrade.releases import recordings, released


@pytest.mark.parametrize(("version", "stack"), recordings())
def test_an_upgrade_replaces_and_removes_nothing_that_cannot_be_made_again(
    version: str, stack: str
) -> None:
    comparison = compare(released(version, stack), review.snapshot(stack))
    assert comparison.losses() == []


def test_every_stack_on_aws_was_recorded() -> None:
    newest = max(version for version, _ in recordings())
    assert {stack for version, stack in recordings() if version == newest} == set(STACKS)


@pytest.mark.parametrize(("version", "stack"), recordings())
def test_a_recording_would_show_a_loss(version: str, stack: str) -> None:
    old = released(version, stack)
    [path] = [
        path
        for path, one in old.resources.items()
        if one.type.endswith("rds/instance:Instance") and one.stateful
    ]
    was = old.resources[path]
    renamed = Declared(was.type, was.name, was.protect, {**was.inputs, "username": "other"})
    changed = Snapshot(old.stack, {**old.resources, path: renamed})
    assert compare(old, changed).losses() == [
        "postgres (aws:rds/instance:Instance) would be replaced for username"
    ]


@pytest.mark.parametrize(("version", "stack"), recordings())
def test_a_recording_holds_no_secret(version: str, stack: str) -> None:
    assert "inventedsecret" not in released(version, stack).text()
