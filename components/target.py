"""Where a stack runs. A component picks its backend by the type of target it is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pulumi

from infra.aws_sizes import AwsSize

if TYPE_CHECKING:  # they take a target themselves
    from components.alerts.ports import AlertsOutputs
    from components.cluster.ports import ClusterOutputs
    from components.dns.ports import DnsOutputs
    from components.encryption.ports import EncryptionOutputs
    from components.network.ports import NetworkOutputs

# Offsets within a stack's block of 100 loopback ports; fixed, so that it keeps its addresses.
PORTS = {
    "public": 0,  # what people's browsers reach: the CDN, or the edge where there is none
    "web": 1,
    "edge-behind-cdn": 2,
    "cdn-operations": 3,
    "ingest": 10,
    **{f"worker-{n}": 10 + n for n in range(1, 11)},
    "autoscaler": 21,
    "monitor": 22,
    "postgres": 30,
    **{f"postgres-{n}": 29 + n for n in range(1, 4)},
    **{f"patroni-{n}": 32 + n for n in range(1, 4)},
    "etcd": 36,
    "etcd-peer": 37,
    "redis": 40,
    **{f"redis-{n}": 39 + n for n in range(1, 7)},
    **{f"redis-bus-{n}": 59 + n for n in range(1, 7)},
    "bluesky-plc": 50,
    "bluesky-pds": 51,
    "bluesky-appview": 52,
    "bluesky-postgres": 54,
}


@dataclass(frozen=True)
class Binaries:
    """Servers of the host to use in place of the bundled ones; None means bundled."""

    postgres: Path | None = None
    etcd: Path | None = None
    redis: Path | None = None
    nginx: Path | None = None
    node: Path | None = None


@dataclass(frozen=True)
class LocalTarget:
    """Real processes on this machine, in one folder and one block of loopback ports per stack."""

    root: Path
    port_base: int
    binaries: Binaries
    name: Literal["local"] = "local"
    providers: Sequence[pulumi.ProviderResource] = ()

    def port(self, use: str) -> int:
        """The loopback port for one use (a key of `PORTS`)."""
        return self.port_base + PORTS[use]


@dataclass(frozen=True, kw_only=True)
class AwsAccount:
    """An account and region of AWS with nothing in it yet: where the foundations are laid.

    `domain` is what people open; its zone is in the account's Route 53, made by the stack unless
    `hosted_zone_id` names one. `operator_cidrs` may reach the cluster's API. `alert_email` hears of
    alarms and of spending beyond `budget` (US dollars a month). `image` is the app's, pulled with
    `image_pull_secret` (a Docker config.json) where its registry wants a login. `protect`: what
    cannot be made again is guarded against deletion. `providers` manage what is declared here.
    """

    stack: str
    phase: int
    account_id: str
    region: str
    domain: str
    hosted_zone_id: str | None
    owner: str
    environment: str
    operator_cidrs: tuple[str, ...]
    alert_email: str
    budget: int
    image: str
    image_pull_secret: pulumi.Output[str] | None
    size: AwsSize
    protect: bool
    providers: Sequence[pulumi.ProviderResource] = ()
    name: Literal["aws"] = "aws"

    @property
    def origin(self) -> str:
        """The host name that the CDN calls; nobody else is answered there."""
        return f"origin.{self.domain}"

    @property
    def zones(self) -> tuple[str, ...]:
        """Availability zones by name, such as us-east-1a."""
        return tuple(f"{self.region}{letter}" for letter in "abcdef"[: self.size.network.zones])

    def tags(self, component: str, name: str = "") -> dict[str, str]:
        """What every resource is tagged with; bills and incidents are looked up by it."""
        return {
            "project": "etcetera",
            "stack": self.stack,
            "phase": f"phase{self.phase}",
            "component": component,
            "owner": self.owner,
            "env": self.environment,
            **({"Name": f"{self.stack}-{name}"} if name else {}),
        }


@dataclass(frozen=True, kw_only=True)
class AwsTarget(AwsAccount):
    """An account with its foundations laid, which all other components stand on."""

    encryption: "EncryptionOutputs"
    alerts: "AlertsOutputs"
    dns: "DnsOutputs"
    network: "NetworkOutputs"
    cluster: "ClusterOutputs"


Target = LocalTarget | AwsAccount
