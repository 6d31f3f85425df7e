"""Decides how a network is cut into subnets, and which networks a stack is refused."""

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.addresses import PODS, SERVICES, layout, refusals

prefixes = st.integers(16, 20)
zones = st.integers(1, 8)


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Those that a stack may have."""
    prefix = draw(prefixes)
    within = draw(st.sampled_from(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]))
    around = IPv4Network(within)
    place = draw(st.integers(0, 2 ** (prefix - around.prefixlen) - 1))
    network = IPv4Network((int(around.network_address) + place * 2 ** (32 - prefix), prefix))
    if network.overlaps(PODS) or network.overlaps(SERVICES):
        return "10.20.0.0/16"
    return str(network)


@given(networks(), zones)
def test_subnets_lie_in_the_network_and_none_overlaps_another(cidr: str, count: int) -> None:
    plan = layout(cidr, count)
    every = [*plan.public, *plan.private, *plan.isolated]
    assert len(every) == 3 * count
    assert all(subnet.subnet_of(IPv4Network(cidr)) for subnet in every)
    assert not any(one.overlaps(other) for one, other in combinations(every, 2))


@given(networks(), st.integers(1, 7))
def test_another_zone_moves_no_subnet(cidr: str, count: int) -> None:
    before, after = layout(cidr, count), layout(cidr, count + 1)
    assert after.public[:count] == before.public
    assert after.private[:count] == before.private
    assert after.isolated[:count] == before.isolated


@given(networks())
def test_each_subnet_holds_a_group_of_machines_with_their_pods(cidr: str) -> None:
    assert all(subnet.num_addresses >= 128 for subnet in layout(cidr, 8).public)


@given(networks())
def test_what_a_stack_may_have_is_not_refused(cidr: str) -> None:
    assert list(refusals(cidr)) == []


@pytest.mark.parametrize(
    ("cidr", "reason"),
    [
        ("10.20.0.0/21", "not between /16 and /20"),
        ("10.0.0.0/8", "not between /16 and /20"),
        ("10.42.0.0/16", "10.42.0.0/16, which the cluster gives its pods"),
        ("10.42.128.0/20", "which the cluster gives its pods"),
        ("10.43.16.0/20", "which the cluster gives its services"),
        ("8.8.0.0/16", "not private"),
    ],
)
def test_a_network_that_would_not_work_is_refused_by_name(cidr: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^etcetera:vpcCidr: ") as refused:
        layout(cidr, 2)
    assert reason in str(refused.value)


def test_zones_beyond_the_plan_are_refused() -> None:
    with pytest.raises(ValueError, match="etcetera:zones"):
        layout("10.20.0.0/16", 9)
