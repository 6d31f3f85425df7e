"""What a component says about its cost: lines of an item, how many of it, and how it is bought."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.cost.book import Price, PriceBook, Purchase


class Kind(StrEnum):
    FIXED = "fixed"  # runs whether or not anybody comes
    USAGE = "usage"  # follows an assumption about use


@dataclass(frozen=True)
class CostLine:
    """So many of one item a month.

    `quantity` counts units of the price (machines for those by the hour). `resources` are the
    logical names of the resources that the line pays for. `assumption` says where a usage comes
    from, and `gives_up` what buying it this way costs in other terms.
    """

    component: str
    item: str
    quantity: float
    resources: tuple[str, ...] = ()
    purchase: Purchase = Purchase.ON_DEMAND
    kind: Kind = Kind.FIXED
    assumption: str = ""
    gives_up: tuple[str, ...] = ()


@dataclass(frozen=True)
class PricedLine:
    """A line with its price. Amounts are US dollars a month."""

    line: CostLine
    price: Price

    @property
    def paid_units(self) -> float:
        return max(0.0, self.line.quantity - self.price.free)

    @property
    def list_cost(self) -> float:
        """On demand."""
        return self.paid_units * self.price.monthly()

    @property
    def effective_cost(self) -> float:
        """As it is bought."""
        return self.paid_units * self.price.monthly(self.line.purchase)


def priced(lines: Sequence[CostLine], book: PriceBook) -> Iterator[PricedLine]:
    """Free units are per account: lines of one item share them, in their order."""
    used: dict[str, float] = {}
    for line in lines:
        price = book[line.item]
        left = max(0.0, price.free - used.get(line.item, 0.0))
        used[line.item] = used.get(line.item, 0.0) + line.quantity
        yield PricedLine(line, price.model_copy(update={"free": left}))
