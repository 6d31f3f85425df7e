"""How resources of the stacks on AWS hang together, and what a phase keeps of the one before."""

from itertools import pairwise

import pytest

from infra.engine.comparison import compare
from infra.policy.immutable import known
from tests.program.aws.stacks import CHOICES, STACKS, recording

OUTSIDE = ("pulumi:pulumi:Stack", "pulumi:providers:aws")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_resource_descends_from_a_component(choice: str) -> None:
    by_urn = {one.urn: one for one in recording(choice).graph.resources}
    for resource in by_urn.values():
        if resource.type in OUTSIDE:
            continue
        ancestor = resource
        while not ancestor.type.startswith("etcetera:"):
            assert ancestor.parent in by_urn, resource.urn
            ancestor = by_urn[ancestor.parent]


@pytest.mark.parametrize("choice", CHOICES)
def test_names_are_unique_and_begin_with_their_components(choice: str) -> None:
    graph = recording(choice).graph
    components = {one.urn: one.name for one in graph.resources if one.type.startswith("etcetera:")}
    managed = [one for one in graph.resources if one.parent in components]
    assert len({one.name for one in managed}) == len(managed)
    for resource in managed:
        assert resource.name.startswith(components[resource.parent]), resource.urn


@pytest.mark.parametrize("choice", CHOICES)
def test_of_every_type_it_is_known_what_cannot_change_in_place(choice: str) -> None:
    types = {one.type for one in recording(choice).snapshot().resources.values()}
    assert [one for one in sorted(types) if not known(one)] == []


@pytest.mark.parametrize(("before", "after"), list(pairwise(STACKS)))
def test_the_next_phase_loses_nothing_that_cannot_be_made_again(before: str, after: str) -> None:
    comparison = compare(recording(before).snapshot(), recording(after).snapshot())
    assert comparison.losses() == []
    # What is left out is left behind, and somebody has to know.
    assert not comparison.removed
    assert comparison.added


@pytest.mark.parametrize(("before", "after"), list(pairwise(STACKS)))
def test_the_next_phase_replaces_only_what_runs_once_or_is_read_at_a_start(
    before: str, after: str
) -> None:
    comparison = compare(recording(before).snapshot(), recording(after).snapshot())
    kinds = {change.after.type for change in comparison.replaced}
    assert kinds <= {
        "kubernetes:batch/v1:Job",
        "kubernetes:core/v1:ConfigMap",
        "kubernetes:core/v1:Secret",
    }


def test_a_phase_without_replicas_becomes_one_with_them_by_adding_them() -> None:
    comparison = compare(recording("phase1-aws").snapshot(), recording("phase2-aws").snapshot())
    added = [one.name for one in comparison.added.values() if "rds/instance" in one.type]
    assert added == ["postgres-replica-1", "postgres-replica-2"]


def test_moving_postgresql_onto_the_cluster_is_told_as_a_loss() -> None:
    before, after = recording("phase2-aws"), recording("phase2-aws, own PostgreSQL")
    losses = compare(before.snapshot(), after.snapshot()).losses()
    assert any("postgres (aws:rds/instance:Instance) would be removed" in one for one in losses)
