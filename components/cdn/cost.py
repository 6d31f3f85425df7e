"""What the CDN costs: transfer and requests beyond what is free for every account."""

from pathlib import Path

from infra.aws_sizes import AwsUsage
from infra.cost.lines import CostLine, Kind

FILES = Path(__file__).parents[2] / "app" / "web" / "static"
VISITS = "pages and pictures of the phase's users, see AwsUsage"


def cost_lines(name: str, usage: AwsUsage) -> list[CostLine]:
    stored = sum(path.stat().st_size for path in FILES.rglob("*") if path.is_file()) / 1e9

    def used(item: str, quantity: float, *resources: str, assumption: str = VISITS) -> CostLine:
        return CostLine("cdn", item, quantity, resources, kind=Kind.USAGE, assumption=assumption)

    return [
        used("cloudfront.transfer", usage.cdn_gb, f"{name}-distribution"),
        used("cloudfront.requests", usage.cdn_million_requests, f"{name}-distribution"),
        used("cloudfront.functions", usage.cdn_million_requests, f"{name}-viewer"),
        used(
            "s3.standard",
            2 * stored,
            f"{name}-files",
            assumption="the site's files, and as much of the release before",
        ),
        CostLine("cdn", "cloudwatch.alarm", 2, (f"{name}-errors", f"{name}-certificate-ends")),
    ]
