"""What DNS costs: the zone. Queries for aliases of CloudFront are free, others are cents."""

from infra.cost.lines import CostLine


def cost_lines(name: str, *, hosted_zone_id: str | None = None) -> list[CostLine]:
    """A given zone is paid for already."""
    if hosted_zone_id is not None:
        return []
    return [CostLine("dns", "route53.zone", 1, (f"{name}-zone",))]
