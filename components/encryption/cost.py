"""What encryption costs: the key, and one more in us-east-1 for a stack elsewhere."""

from infra.cost.lines import CostLine


def cost_lines(name: str, *, region: str = "us-east-1") -> list[CostLine]:
    keys = [f"{name}-key"] if region == "us-east-1" else [f"{name}-key", f"{name}-global-key"]
    return [CostLine("encryption", "kms.key", len(keys), tuple(keys))]
