"""What the cluster costs: machines, their disks and addresses, and what watches them."""

from infra.aws_sizes import AwsCluster, AwsMachines, AwsNetwork, AwsUsage
from infra.cost.book import Purchase
from infra.cost.lines import CostLine, Kind

ROOT_GB = 8  # of the server's own disk; its state is on a volume beside it
_SERVER_ALARMS = ("host", "system", "cpu", "credits", "memory", "disk-full", "state-full")
_API_LOG_GB = 2  # audit and API calls of a small cluster, an estimate of ours
_GIVES_UP = {
    Purchase.COMMITTED: ("Machines under a savings plan of a year are paid for, used or not",),
    Purchase.SPOT: (
        "Spot machines may be taken away at two minutes' notice; the jobs of their workers are "
        "done by others then, or late",
    ),
}


def cost_lines(name: str, size: AwsCluster, usage: AwsUsage, network: AwsNetwork) -> list[CostLine]:
    own = _eks(name, size, network) if size.distribution == "eks" else _k3s(name, size, network)
    logs = CostLine(
        "cluster",
        "cloudwatch.logs",
        usage.log_gb,
        (f"{name}-logs",),
        kind=Kind.USAGE,
        assumption=f"{usage.log_gb:g} GB of logs",
    )
    return [*own, logs]


def _k3s(name: str, size: AwsCluster, network: AwsNetwork) -> list[CostLine]:
    groups = {"agents": size.agents, "spot": size.spot}
    lines = [_machines(f"{name}-server", size.server)]
    lines += [_machines(f"{name}-{kind}", one) for kind, one in groups.items() if one]
    lines += [
        CostLine("cluster", "ebs.gp3", ROOT_GB + size.server.disk_gb, (f"{name}-server-state",)),
        CostLine("cluster", "ipv4.public", 1, (f"{name}-server-address",)),
    ]
    lines += [line for one in groups.values() if one for line in _around(one, network)]
    secrets = [f"{name}-authority", *([f"{name}-join"] if any(groups.values()) else [])]
    alarms = [
        f"{name}-server-{what}"
        for what in _SERVER_ALARMS
        if what != "credits" or size.server.type.startswith("t")
    ]
    alarms += [f"{name}-{kind}-missing" for kind, one in groups.items() if one]
    return [
        *lines,
        CostLine("cluster", "secretsmanager.secret", len(secrets), tuple(secrets)),
        CostLine("cluster", "cloudwatch.alarm", len(alarms), tuple(alarms)),
        CostLine("cluster", "cloudwatch.metric", 3, assumption="memory and two disks"),
    ]


def _eks(name: str, size: AwsCluster, network: AwsNetwork) -> list[CostLine]:
    lines = [CostLine("cluster", "eks.cluster", 1, (f"{name}-control-plane",))]
    for kind, one in size.groups.items():
        lines += [_machines(f"{name}-{kind}", one), *_around(one, network)]
    alarms = (f"{name}-agents-cpu", f"{name}-balancer-healthy")
    return [
        *lines,
        CostLine("cluster", "nlb", 1, (f"{name}-balancer",)),
        CostLine(
            "cluster",
            "nlb.capacity",
            1,
            kind=Kind.USAGE,
            assumption="one unit: up to 50 new TLS connections and 1 GB an hour",
        ),
        CostLine("cluster", "ipv4.public", network.zones),
        CostLine(
            "cluster",
            "cloudwatch.logs",
            _API_LOG_GB,
            (f"{name}-api-logs",),
            kind=Kind.USAGE,
            assumption=f"{_API_LOG_GB} GB of the control plane's logs",
        ),
        CostLine("cluster", "cloudwatch.alarm", len(alarms), alarms),
    ]


def _machines(unique: str, size: AwsMachines) -> CostLine:
    return CostLine(
        "cluster",
        f"ec2.{size.type}",
        size.count,
        (unique,),
        size.purchase,
        gives_up=_GIVES_UP.get(size.purchase, ()),
    )


def _around(size: AwsMachines, network: AwsNetwork) -> list[CostLine]:
    """Disks, and without NAT an address for each machine."""
    disks = CostLine("cluster", "ebs.gp3", size.count * size.disk_gb)
    addresses = CostLine("cluster", "ipv4.public", size.count)
    return [disks] if network.nat == "gateway" else [disks, addresses]
