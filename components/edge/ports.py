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
    """Both are known only when a page is served. `url` has no slash at its end.

    `address` is host:port, for a CDN in front.
    """

    url: pulumi.Output[str]
    address: pulumi.Output[str]
