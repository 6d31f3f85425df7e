"""The addresses of a stack's network on AWS: what it may have, and which subnet gets which.

A network is cut the same way whatever a stack chooses: a quarter each for public, private and
isolated subnets, the last one spare, and each quarter into eight, one for each zone. So neither
another zone nor a NAT gateway moves a subnet, which would replace everything in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import islice

PODS = IPv4Network("10.42.0.0/16")  # of k3s; EKS gives pods addresses of the subnets
SERVICES = IPv4Network("10.43.0.0/16")
WIDEST, NARROWEST = 16, 20  # prefix lengths: what AWS allows, and 123 addresses for each subnet
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


@dataclass(frozen=True)
class Layout:
    """One subnet of each kind per zone, in the zones' order."""

    public: tuple[IPv4Network, ...]
    private: tuple[IPv4Network, ...]
    isolated: tuple[IPv4Network, ...]


def refusals(cidr: str) -> Iterator[str]:
    """Why a stack cannot have this network; nothing when it can."""
    own = IPv4Network(cidr)
    if not any(own.subnet_of(private) for private in _PRIVATE):
        yield f"{own} is not private (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)"
    if not WIDEST <= own.prefixlen <= NARROWEST:
        yield f"{own} is not between /{WIDEST} and /{NARROWEST}"
    for use, taken in (("pods", PODS), ("services", SERVICES)):
        if own.overlaps(taken):
            yield f"{own} overlaps {taken}, which the cluster gives its {use}"


def layout(cidr: str, zones: int) -> Layout:
    """The subnets of a network.

    Raises:
        ValueError: the network is refused, or there are more than eight zones.
    """
    reasons = list(refusals(cidr))
    if reasons:
        raise ValueError(f"etcetera:vpcCidr: {'; '.join(reasons)}")
    if not 1 <= zones <= 8:
        raise ValueError(f"etcetera:zones: {zones} is not between 1 and 8")
    quarters = IPv4Network(cidr).subnets(prefixlen_diff=2)
    return Layout(
        *(
            tuple(islice(quarter.subnets(prefixlen_diff=3), zones))
            for quarter in islice(quarters, 3)
        )
    )
