"""The command line of `scripts/load`."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from dataclasses import asdict
from math import isfinite
from typing import Any

import structlog
from pulumi import RunError
from rich.console import Console

from infra.config import ConfigError
from tests.load import plan, run
from tests.load.report import render
from tests.load.site import Site, UnfitError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_UNITS = {"s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/load",
        description="Put a stack that is up under a seeded load of mentions and page views, and "
        "report what became of it. Ends with 1 when a mention was lost or left unanswered, or when "
        "a page failed.",
        epilog="Examples:  scripts/load phase2 --rate 100 --pages 20 --duration 10m  |  "
        "scripts/load phase2 --mix surge --rate 100 --duration 5m --json",
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument(
        "--mix",
        choices=plan.MIXES,
        default="steady",
        help="steady rates; surge: ten times both for the duration, a minute of the steady ones "
        "before and after; storm: a third of the time in, ten minutes' worth of claims within a "
        "minute, as at midnight UTC",
    )
    parser.add_argument("--rate", type=float, default=100.0, help="mentions/min; default: 100")
    parser.add_argument("--pages", type=float, default=10.0, help="page views/s; default: 10")
    parser.add_argument("--duration", type=_seconds, default=60.0, help="60s, 10m; default: 60s")
    parser.add_argument("--seed", type=int, default=1, help="who does what when; default: 1")
    parser.add_argument(
        "--through",
        choices=run.WAYS,
        default="both",
        help="network: real people post; ingest: stored directly, by people unknown to Bluesky, "
        "who get no reply there; both: the network up to --network-most, the rest directly",
    )
    parser.add_argument(
        "--network-most",
        type=float,
        default=run.NETWORK_MOST,
        help=f"mentions/min through the network; default: {run.NETWORK_MOST:.0f}",
    )
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=run.DRAIN_SECONDS,
        help="how long to wait for what is left to do at the end; default: 2m",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--yes-really", action="store_true", help="the stack may be elsewhere")
    arguments = parser.parse_args()

    # The app's own ways to the data tell what they find; here that is for the report alone.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    progress = Console(stderr=True)
    try:
        site = Site.of_stack(arguments.stack)
        site.check(elsewhere=arguments.yes_really)
    except (ConfigError, UnfitError, RunError) as error:
        progress.print(f"scripts/load: {error}", style="red", soft_wrap=True)
        return 2
    load = run.Load(
        plan=plan.make(
            arguments.mix, arguments.rate, arguments.pages, arguments.duration, arguments.seed
        ),
        mix=arguments.mix,
        seed=arguments.seed,
        through=arguments.through,
        network_most=arguments.network_most,
        patience=arguments.patience,
    )
    with progress.status("starting") as status:
        report = run.run(site, load, status.update)
    if arguments.json:
        json.dump(_finite(asdict(report)), sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        output = Console()
        # Rich would cut cells to the width of a pipe's imagined terminal.
        (output if output.is_terminal else Console(width=160)).print(render(report))
    return 1 if report.broken else 0


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s or 10m")
    return float(found[1]) * _UNITS[found[2]]


def _finite(value: Any) -> Any:
    """JSON has no infinity: a quantile of nothing is null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


if __name__ == "__main__":
    raise SystemExit(main())
