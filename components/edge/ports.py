"""What every edge backend takes and gives."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class EdgeArgs:
    """`upstream` is host:port of the website; `behind_cdn` leaves the public address to a CDN."""

    upstream: pulumi.Input[str]
    behind_cdn: bool = False


@dataclass(frozen=True)
class EdgeOutputs:
    """`url` has no slash at its end and is known only when a page is served."""

    url: pulumi.Output[str]
