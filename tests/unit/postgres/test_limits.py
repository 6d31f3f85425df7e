"""Decides which sizes of a database on AWS are refused, and which key of a stack file mends it."""

from dataclasses import replace
from typing import Any

import pytest

from components.postgres.limits import problems
from infra.aws_sizes import (
    AWS_SIZES,
    SELF_HOSTED_CLUSTERS,
    AwsMachines,
    AwsSize,
    memory_gb,
)
from infra.phases import PHASES


def size(phase: int, **postgres: Any) -> AwsSize:
    found = AWS_SIZES[phase]
    return replace(found, postgres=replace(found.postgres, **postgres))


def keys(found: AwsSize, phase: int, *, synchronous: bool = True) -> list[str]:
    return [key for key, _ in problems(found, PHASES[phase], synchronous=synchronous)]


@pytest.mark.parametrize("phase", sorted(AWS_SIZES))
def test_the_sizes_of_the_phases_are_fine(phase: int) -> None:
    assert not keys(size(phase), phase)
    hosted = size(phase, hosting="kubernetes")
    cluster = SELF_HOSTED_CLUSTERS.get(phase, hosted.cluster)
    assert not keys(replace(hosted, cluster=cluster), phase)


def test_a_class_must_hold_the_connections_of_the_phase() -> None:
    assert keys(size(2, instance_class="db.t4g.micro"), 2) == ["database_class"]
    assert keys(size(2, replica_class="db.t4g.micro"), 2) == ["replica_class"]
    # Without a class of their own replicas are like the primary.
    both = size(2, instance_class="db.t4g.micro", replica_class=None)
    assert keys(both, 2) == ["database_class", "replica_class"]


def test_rds_waits_for_no_replica_so_there_is_nothing_to_switch_off() -> None:
    assert keys(size(2), 2, synchronous=False) == ["synchronous_commit"]
    hosted = replace(size(2, hosting="kubernetes"), cluster=SELF_HOSTED_CLUSTERS[2])
    assert not keys(hosted, 2, synchronous=False)


def test_servers_on_the_cluster_need_a_machine_each() -> None:
    hosted = replace(size(2, hosting="kubernetes"), cluster=SELF_HOSTED_CLUSTERS[2])
    assert keys(replace(hosted, postgres=replace(hosted.postgres, replicas=3)), 2) == [
        "database_replicas"
    ]


def test_machines_must_hold_the_connections_of_the_phase() -> None:
    small = replace(SELF_HOSTED_CLUSTERS[2], agents=AwsMachines(3, ("t4g.small",)))
    assert keys(replace(size(2, hosting="kubernetes"), cluster=small), 2) == ["node_type"]


@pytest.mark.parametrize(
    ("type_", "gb"),
    [
        ("db.t4g.micro", 1),
        ("t4g.small", 2),
        ("t4g.large", 8),
        ("db.m7g.xlarge", 16),
        ("c7g.xlarge", 8),
        ("db.r7g.2xlarge", 64),
    ],
)
def test_memory_follows_from_family_and_size(type_: str, gb: float) -> None:
    assert memory_gb(type_) == gb


@pytest.mark.parametrize("type_", ["t4g.giant", "x2.large", "large"])
def test_what_is_not_known_has_no_memory(type_: str) -> None:
    with pytest.raises(ValueError, match="is not known"):
        memory_gb(type_)
