"""What watching costs: the look from outside, its alarm and the dashboard. The monitor itself runs
on the cluster's machines."""

from infra.cost.lines import CostLine

COMPONENT = "monitoring"


def cost_lines(name: str) -> list[CostLine]:
    check = (f"{name}-site",)
    return [
        CostLine(COMPONENT, "route53.check", 1, check),
        CostLine(COMPONENT, "route53.check.option", 1, check),  # HTTPS
        CostLine(COMPONENT, "cloudwatch.alarm", 1, (f"{name}-site-down",)),
        CostLine(COMPONENT, "cloudwatch.dashboard", 1, (f"{name}-dashboard",)),
    ]
