"""Where a stack runs. A component picks its backend by the type of target it is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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

    def port(self, use: str) -> int:
        """The loopback port for one use (a key of `PORTS`)."""
        return self.port_base + PORTS[use]


Target = LocalTarget
