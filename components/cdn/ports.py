"""What every CDN backend takes and gives."""

from dataclasses import dataclass

import pulumi

from infra.phases import CdnSize


@dataclass(frozen=True)
class CdnArgs:
    """`origin` is host:port of the edge."""

    size: CdnSize
    origin: pulumi.Input[str]


@dataclass(frozen=True)
class CdnOutputs:
    """`url` has no slash at its end and is known only when answers come from it.

    `metrics` is a Prometheus endpoint. `purge_url` takes a POST with `purge_token` as bearer token
    and `{"paths": ["/…"]}` or `{"all": true}` as JSON.
    """

    url: pulumi.Output[str]
    metrics: pulumi.Output[str]
    purge_url: pulumi.Output[str]
    purge_token: pulumi.Output[str]
