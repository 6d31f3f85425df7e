"""Writes docs/costs.md from sizes and the price book: `python -m infra.cost.reference`."""

from dataclasses import replace
from pathlib import Path

from infra.aws_sizes import AWS_SIZES, SELF_HOSTED_CLUSTERS, AwsSize
from infra.cost.book import PriceBook
from infra.cost.report import Bill
from infra.cost.stack import lines
from infra.phases import PHASES

DOCUMENT = Path(__file__).parents[2] / "docs" / "costs.md"

HEAD = """\
# What the phases cost on AWS

Written by `python -m infra.cost.reference` from `infra/aws_sizes.py` and the price book; a test
compares the two. US dollars a month in us-east-1, before tax. `./scripts/cost` has every line, with
the source of its price.

"""


def document() -> str:
    """The text of docs/costs.md."""
    book = PriceBook.load()
    bills = {n: Bill.of(PHASES[n], lines(size), book) for n, size in AWS_SIZES.items()}
    rows = [
        ("roadmap's budget", [f"{bill.phase.budget}" for bill in bills.values()]),
        ("as the phase buys it", [f"**{bill.effective:.2f}**" for bill in bills.values()]),
        ("all on demand", [f"{bill.on_demand:.2f}" for bill in bills.values()]),
        ("users", [f"{bill.phase.users:,}" for bill in bills.values()]),
        ("per user", [f"{bill.per_user:.4f}" for bill in bills.values()]),
        (
            "roadmap, per user",
            [f"{bill.phase.budget / bill.phase.users:.3f}" for bill in bills.values()],
        ),
    ]
    components = dict.fromkeys(part for bill in bills.values() for part in bill.by_component())
    rows += [
        (part, [f"{bill.by_component().get(part, 0):.2f}" for bill in bills.values()])
        for part in components
    ]
    choices = [f"| {name} | {_bill(2, size):.2f} |" for name, size in _choices().items()]
    given_up = {one for bill in bills.values() for line in bill.lines for one in line.line.gives_up}
    return (
        HEAD
        + _table(["", *(f"phase {number}" for number in bills)], rows)
        + "\n## What that gives up\n\n"
        + "".join(f"- {one}.\n" for one in sorted(given_up))
        + "\n## Phase 2, bought otherwise\n\n| | a month |\n|---|---|\n"
        + "\n".join(choices)
        + "\n"
    )


def _choices() -> dict[str, AwsSize]:
    size = AWS_SIZES[2]
    return {
        "as it is": size,
        "`postgresHosting: kubernetes` (fails over by itself, yours to look after)": replace(
            size,
            cluster=SELF_HOSTED_CLUSTERS[2],
            postgres=replace(size.postgres, hosting="kubernetes"),
        ),
        "`multiAz: true` (a standby of the primary)": replace(
            size, postgres=replace(size.postgres, multi_az=True)
        ),
        "`nat: gateway` (private machines)": replace(
            size, network=replace(size.network, nat="gateway")
        ),
        "`kubernetes: eks`": replace(size, cluster=replace(size.cluster, distribution="eks")),
    }


def _bill(phase: int, size: AwsSize) -> float:
    return Bill.of(PHASES[phase], lines(size), PriceBook.load()).effective


def _table(heads: list[str], rows: list[tuple[str, list[str]]]) -> str:
    head = "| " + " | ".join(heads) + " |\n|---|" + "---:|" * (len(heads) - 1) + "\n"
    return head + "".join(f"| {name} | " + " | ".join(cells) + " |\n" for name, cells in rows)


if __name__ == "__main__":
    DOCUMENT.write_text(document())
