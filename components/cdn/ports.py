"""What every CDN backend takes and gives."""

from dataclasses import dataclass

import pulumi

from infra.phases import CdnSize


@dataclass(frozen=True)
class CdnArgs:
    """`origin` is where the edge answers: host:port, on AWS the host name.

    Without `size` every page comes from the origin, and only what never changes is kept.
    `origin_secret` goes with each request, so that the origin answers nobody else.
    """

    size: CdnSize | None
    origin: pulumi.Input[str]
    origin_secret: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class CdnOutputs:
    """`url` has no slash at its end and is known only when answers come from it.

    `metrics` is a Prometheus endpoint; None where CloudWatch has the figures. `purge_url` takes a
    POST with `purge_token` as bearer token and `{"paths": ["/…"]}` or `{"all": true}` as JSON; on
    AWS it is empty, and `distribution_id` names what to invalidate (`scripts/purge` does either).
    """

    url: pulumi.Output[str]
    metrics: pulumi.Output[str] | None
    purge_url: pulumi.Output[str]
    purge_token: pulumi.Output[str]
    distribution_id: pulumi.Output[str]
