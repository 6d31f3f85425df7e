"""The bill of a stack: what its components say they cost, priced for its region."""

from datetime import date
from typing import Any, Literal

from infra.aws_sizes import AWS_SIZES, AwsSize
from infra.config import StackConfig
from infra.config.sizing import aws_size
from infra.cost.book import PriceBook
from infra.cost.lines import CostLine
from infra.cost.regions import REGIONS
from infra.cost.report import Bill, report
from infra.phases import PHASES, Phase

Basis = Literal["deployed", "equivalent"]


def lines(phase: Phase, size: AwsSize, *, hosted_zone_id: str | None = None) -> list[CostLine]:
    """What a phase consists of on AWS, component by component, named as the program names them."""
    raise NotImplementedError


def bill(config: StackConfig, book: PriceBook | None = None) -> Bill:
    """A local stack's bill is that of its phase on AWS, at default sizes and in the first region.

    Raises:
        UnpricedError: something has no price.
    """
    phase = PHASES[config.phase]
    book = book or PriceBook.load()
    if config.target == "local":
        return Bill.of(phase, lines(phase, AWS_SIZES[phase.number]), book)
    here = book.at(REGIONS[config.region], config.region)
    own = lines(phase, aws_size(config), hosted_zone_id=config.hosted_zone_id)
    return Bill.of(phase, own, here)


def cost(config: StackConfig, today: date) -> dict[str, Any]:
    """The stack's `cost` output (`cost/v1`), with the difference to the phase before it."""
    own = bill(config)
    before = None
    if config.phase > 0:
        phase = PHASES[config.phase - 1]
        before = Bill.of(phase, lines(phase, AWS_SIZES[phase.number]), own.book)
    basis: Basis = "deployed" if config.target == "aws" else "equivalent"
    return report(own, today, basis=basis, before=before)
