"""Where a stack runs. A component picks its backend by the type of target it is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# Offsets within a stack's block of 100 loopback ports; fixed, so that it keeps its addresses.
PORTS = {
    "edge": 0,
    "web": 1,
    "ingest": 10,
    **{f"worker-{n}": 10 + n for n in range(1, 11)},
    "postgres": 30,
    "redis": 40,
    "bluesky-plc": 50,
    "bluesky-pds": 51,
    "bluesky-appview": 52,
    "bluesky-postgres": 54,
}


@dataclass(frozen=True)
class Binaries:
    """Servers of the host to use in place of the bundled ones; None means bundled."""

    postgres: Path | None = None
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
