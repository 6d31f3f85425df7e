"""What the DNS backend takes and gives."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class DnsArgs:
    """`hosted_zone_id`: use this zone, which serves the domain already, and make none."""

    hosted_zone_id: str | None = None


@dataclass(frozen=True)
class DnsOutputs:
    """`name_servers` are those to enter where the domain was registered; empty for a given zone."""

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[list[str]]
