"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench import crowds, pages, pipeline, seed, stacks
from tests.bench.report import Report, render

PORTS = 27_000
PARTS = ("pages", "bot", "phases")


@dataclass(frozen=True)
class Effort:
    people: int
    objects: int
    pages: pages.Effort
    bot: pipeline.Effort
    phases: crowds.Effort


FULL = Effort(
    people=3_000,
    objects=12_000,
    pages=pages.Effort(rounds=5, window=2.5),
    bot=pipeline.Effort(rounds=5, claims=300, replies=64),
    phases=crowds.Effort(rounds=3, window=6.0, warmup=2.0, start=32, precision=0.1),
)
QUICK = Effort(
    people=500,
    objects=2_000,
    pages=pages.Effort(rounds=1, window=1.0),
    bot=pipeline.Effort(rounds=1, claims=60, replies=0),
    phases=crowds.Effort(rounds=1, window=1.5, warmup=0.5, start=128, precision=1.0),
)


def run(
    parts: set[str], effort: Effort, number: int, ports: int, say: Callable[[str], None]
) -> Report:
    """Brings up what the parts need, measures, and takes it down again."""
    begin = time.monotonic()
    needed = [1] if parts == {"pages"} else [0, 1]
    with ExitStack() as up:
        folder = Path(up.enter_context(tempfile.TemporaryDirectory(prefix="etcetera-bench-")))
        running = []
        for phase in needed:
            say(f"bringing phase {phase} up")
            running.append(up.enter_context(stacks.running(phase, folder, ports + 100 * phase)))
        say("filling the databases")
        world = seed.make(effort.people, effort.objects, number)
        for stack in running:
            seed.fill(stack.database_url, world)
        last = running[-1]
        paged = pages.run(last, world, folder, effort.pages, say) if "pages" in parts else None
        bot = pipeline.run(running, effort.bot, say) if "bot" in parts else None
        phases = (
            crowds.run(running, world, effort.phases, number, say) if "phases" in parts else None
        )
        say("taking the stacks down")
    cores = os.cpu_count() or 1
    return Report(
        machine=f"{date.today()}, {cores} cores shared by servers and load generator",
        seconds=time.monotonic() - begin,
        pages=paged,
        bot=bot,
        phases=phases,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure pages, the bot and the phases on stacks of their own, and print "
        "ratios. Takes about eight minutes; nothing of other stacks is touched.",
        epilog="Examples:  scripts/bench --quick  |  scripts/bench --only pages --json",
    )
    parser.add_argument("--quick", action="store_true", help="a minute or two, rough figures")
    parser.add_argument("--only", choices=PARTS, help="measure one part")
    parser.add_argument("--seed", type=int, default=1, help="of data and visits; default: 1")
    parser.add_argument("--port-base", type=int, default=PORTS, help=f"default: {PORTS}")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()

    progress = Console(stderr=True)
    with progress.status("starting") as status:

        def say(text: str) -> None:
            status.update(text) if progress.is_terminal else progress.print(text)

        report = run(
            {arguments.only} if arguments.only else set(PARTS),
            QUICK if arguments.quick else FULL,
            arguments.seed,
            arguments.port_base,
            say,
        )
    if arguments.json:
        json.dump(_finite(asdict(report)), sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        output = Console()
        # Rich would cut cells to the width of a pipe's imagined terminal.
        (output if output.is_terminal else Console(width=120)).print(render(report))
    return 0


def _finite(value: Any) -> Any:
    """JSON has no infinity: a percentile of no pages at all is null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


if __name__ == "__main__":
    raise SystemExit(main())
