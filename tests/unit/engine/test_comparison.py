"""Decides what is told of the way from one declaration of a stack to another."""

from typing import Any

import pytest

from infra.engine.comparison import Change, Comparison, Declared, Snapshot, compare

RDS, VPC, SUBNET = "aws:rds/instance:Instance", "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"


def declared(type_: str, name: str, ignored: tuple[str, ...] = (), **inputs: Any) -> Declared:
    return Declared(type_, name, False, inputs, ignored)


def snapshot(*resources: Declared) -> Snapshot:
    return Snapshot("s", {f"etcetera::{one.type}::{one.name}": one for one in resources})


def way(before: Declared, after: Declared) -> Comparison:
    return compare(snapshot(before), snapshot(after))


def only(comparison: Comparison) -> Change:
    [change] = comparison.changed
    return change


def test_the_same_is_no_change() -> None:
    same = snapshot(declared(RDS, "db", username="x"))
    assert compare(same, same) == Comparison({}, {}, ())


def test_what_comes_and_goes_is_told() -> None:
    comparison = way(declared(VPC, "old"), declared(VPC, "new"))
    assert [one.name for one in comparison.added.values()] == ["new"]
    assert [one.name for one in comparison.removed.values()] == ["old"]
    assert comparison.losses() == []


def test_a_change_in_place_names_the_paths_that_differ() -> None:
    change = only(
        way(
            declared(RDS, "db", instanceClass="small", tags={"a": "1", "b": "1"}),
            declared(RDS, "db", instanceClass="large", tags={"a": "1", "b": "2"}),
        )
    )
    assert (change.keys, change.forcing) == (("instanceClass", "tags.b"), ())


@pytest.mark.parametrize(
    ("was", "now", "path"),
    [
        ([{"image": "a"}, {"image": "b"}], [{"image": "a"}, {"image": "c"}], "spec.1.image"),
        ([{"image": "a"}], [{"image": "a"}, {"image": "b"}], "spec"),
        (["a", "b"], ["a", "c"], "spec"),
    ],
)
def test_lists_of_objects_are_compared_one_by_one(
    was: list[Any], now: list[Any], path: str
) -> None:
    assert only(way(declared("t", "x", spec=was), declared("t", "x", spec=now))).keys == (path,)


def test_a_database_that_would_be_replaced_or_removed_is_a_loss() -> None:
    kept, renamed = declared(RDS, "db", username="a"), declared(RDS, "db", username="b")
    assert way(kept, renamed).losses() == [f"db ({RDS}) would be replaced for username"]
    assert way(kept, declared(VPC, "x")).losses() == [f"db ({RDS}) would be removed"]


def test_a_replica_is_no_loss() -> None:
    replica = declared(RDS, "db-replica", replicateSourceDb="${db.identifier}")
    assert way(replica, declared(VPC, "x")).losses() == []


def test_who_refers_to_something_replaced_may_be_replaced_in_turn() -> None:
    def network(cidr: str) -> Snapshot:
        return snapshot(
            declared(VPC, "vpc", cidrBlock=cidr),
            declared(SUBNET, "subnet", vpcId="${vpc.id}"),
            declared("aws:rds/subnetGroup:SubnetGroup", "group", subnetIds=["${subnet.id}"]),
            declared("aws:iam/policy:Policy", "other", policy="arn ${vpc-2.arn}"),
        )

    comparison = compare(network("10.0.0.0/16"), network("10.1.0.0/16"))
    assert [one.after.name for one in comparison.replaced] == ["subnet", "vpc"]
    assert {one.after.name: one.keys for one in comparison.changed}["group"] == ("subnetIds",)
    assert "other" not in {one.after.name for one in comparison.changed}


def test_what_the_program_leaves_alone_is_no_change() -> None:
    ignored = ("spec.replicas",)
    was = declared("t", "x", ignored, spec={"replicas": 1, "image": "a"})
    assert way(was, declared("t", "x", ignored, spec={"replicas": 5, "image": "a"})).changed == ()
    changed = way(was, declared("t", "x", ignored, spec={"replicas": 5, "image": "b"}))
    assert only(changed).keys == ("spec.image",)


def test_an_object_that_vanishes_with_an_immutable_input_in_it_is_a_replacement() -> None:
    was = declared("kubernetes:core/v1:Service", "x", spec={"clusterIP": "None"})
    now = declared("kubernetes:core/v1:Service", "x")
    assert only(way(was, now)).forcing == ("spec",)


def test_another_input_makes_another_random_value() -> None:
    type_ = "random:index/randomPassword:RandomPassword"
    assert only(way(declared(type_, "p", length=8), declared(type_, "p", length=9))).forcing


def test_a_snapshot_survives_its_way_through_a_file() -> None:
    one = snapshot(declared(RDS, "db", ("password",), username="a", list=[{"b": 1}]))
    assert Snapshot.parse(one.text()) == one
