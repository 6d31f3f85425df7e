"""What the network costs: the log of refused traffic, and a NAT gateway if there is one."""

from infra.aws_sizes import AwsNetwork
from infra.cost.lines import CostLine, Kind

_REFUSED_GB = 0.3
_THROUGH_NAT_GB = 20


def cost_lines(name: str, size: AwsNetwork) -> list[CostLine]:
    lines = [
        CostLine(
            "network",
            "cloudwatch.logs",
            _REFUSED_GB,
            (f"{name}-flow-logs", f"{name}-flow-log"),
            kind=Kind.USAGE,
            assumption=f"{_REFUSED_GB} GB of refused connections, mostly scans of the internet",
        )
    ]
    if size.nat == "gateway":
        lines += [
            CostLine("network", "nat.gateway", 1, (f"{name}-nat",)),
            CostLine("network", "ipv4.public", 1, (f"{name}-nat-address",)),
            CostLine(
                "network",
                "nat.transfer",
                _THROUGH_NAT_GB,
                kind=Kind.USAGE,
                assumption=f"{_THROUGH_NAT_GB} GB of images and calls of Bluesky",
            ),
        ]
    return lines
