"""What the app costs beside the machines it runs on, which are the cluster's: its secrets."""

from infra.cost.lines import CostLine


def cost_lines(name: str) -> list[CostLine]:
    return [CostLine("workload", "secretsmanager.secret", 1, (f"{name}-keys",))]
