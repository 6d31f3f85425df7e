"""What to open and try next: reads a stack's outputs as JSON from standard input."""

import json
import sys
from collections.abc import Mapping
from typing import Any


def welcome(stack: str, outputs: Mapping[str, Any]) -> str:
    """The text shown after `scripts/up`."""
    site = outputs["web_url"]
    bot = outputs["bot_handle"]
    bluesky = outputs["endpoints"].get("bluesky_url")
    lines = [
        f"{stack} is up (phase {outputs['phase']}, {outputs['target']}).",
        "",
        f"  Site     {site}",
        f"  Status   {outputs['status_url']}",
        f"  API      {outputs['api_url']}   ({site}/openapi.json)",
        f"  Bot      @{bot}" + (f" on {bluesky}" if bluesky else ""),
        "",
        "Try next:",
    ]
    if bluesky:
        lines.append(f'  scripts/bluesky {stack} post --as alice "@{bot} claim"')
    if outputs["slo"]:
        lines.append(
            f"  scripts/slo {stack}                            what it has to reach, and does"
        )
    lines += [
        f"  scripts/dev {stack}                            the site in debug mode, with reload",
        f"  scripts/pulumi stack output --stack {stack}    addresses and limits",
        f"  scripts/pulumi destroy --stack {stack}         remove it, its data included",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(welcome(sys.argv[1], json.load(sys.stdin)))  # noqa: T201
