"""The `cost` output of a stack, schema `cost/v1`: what the stack costs a month, and why.

schema, phase, basis       `basis` is "deployed", or "equivalent": what a local stack would cost
currency, hours, pricebook {region, asOf, stale: [item]}
total                      {list, effective}: all on demand, and as it is bought
budget                     {limit, headroomPct, fits, fitsOnDemand}
perUser                    {users, effective, target}
byComponent                effective by component
lines                      one per cost line, see `_line`
choices                    what buying otherwise than on demand gives up
delta                      against the phase before: {fromPhase, effective, drivers}
sensitivity                the total if everything were bought in one way
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from infra.cost.book import HOURS_PER_MONTH, PriceBook, Purchase
from infra.cost.lines import CostLine, PricedLine, priced
from infra.phases import Phase

SCHEMA = "cost/v1"
_DRIVERS = 5


@dataclass(frozen=True)
class Bill:
    """The lines of one phase with their prices."""

    phase: Phase
    lines: tuple[PricedLine, ...]
    book: PriceBook

    @classmethod
    def of(cls, phase: Phase, lines: Sequence[CostLine], book: PriceBook) -> "Bill":
        """Raises UnpricedError, or ValueError where an item cannot be bought as a line says."""
        return cls(phase, tuple(priced(lines, book)), book)

    @property
    def effective(self) -> float:
        """US dollars a month, as everything is bought."""
        return sum(line.effective_cost for line in self.lines)

    @property
    def on_demand(self) -> float:
        return sum(line.list_cost for line in self.lines)

    @property
    def per_user(self) -> float:
        return self.effective / self.phase.users

    @property
    def fits(self) -> bool:
        return self.effective <= self.phase.budget

    def by_component(self) -> dict[str, float]:
        found: dict[str, float] = defaultdict(float)
        for line in self.lines:
            found[line.line.component] += line.effective_cost
        return dict(sorted(found.items(), key=lambda one: -one[1]))

    def if_bought(self, purchase: Purchase) -> float:
        """The total with everything that can be bought this way bought this way, else on demand."""
        total = 0.0
        for line in self.lines:
            try:
                total += line.paid_units * line.price.monthly(purchase)
            except ValueError:
                total += line.list_cost
        return total


def report(bill: Bill, today: date, *, basis: str, before: Bill | None = None) -> dict[str, Any]:
    """The output's document; amounts are US dollars a month, rounded to cents."""
    phase = bill.phase
    return {
        "schema": SCHEMA,
        "phase": phase.name,
        "basis": basis,
        "currency": bill.book.currency,
        "hours": HOURS_PER_MONTH,
        "pricebook": {
            "region": bill.book.region,
            "asOf": bill.book.as_of.isoformat(),
            "stale": sorted({line.line.item for line in bill.lines} & set(bill.book.stale(today))),
        },
        "total": {"list": _cents(bill.on_demand), "effective": _cents(bill.effective)},
        "budget": {
            "limit": phase.budget,
            "headroomPct": round(100 * (1 - bill.effective / phase.budget), 1),
            "fits": bill.fits,
            "fitsOnDemand": bill.on_demand <= phase.budget,
        },
        "perUser": {
            "users": phase.users,
            "effective": round(bill.per_user, 5),
            "target": phase.budget / phase.users,
        },
        "byComponent": {name: _cents(cost) for name, cost in bill.by_component().items()},
        "lines": [_line(line) for line in bill.lines],
        "choices": sorted({one for line in bill.lines for one in line.line.gives_up}),
        "delta": None if before is None else _delta(before, bill),
        "sensitivity": [
            {"name": f"all {purchase}", "total": _cents(bill.if_bought(purchase))}
            for purchase in (Purchase.ON_DEMAND, Purchase.COMMITTED)
        ],
    }


def _line(priced_line: PricedLine) -> dict[str, Any]:
    line, price = priced_line.line, priced_line.price
    return {
        "component": line.component,
        "item": line.item,
        "resources": list(line.resources),
        "quantity": round(line.quantity, 4),
        "unit": price.unit,
        "unitPrice": price.value,
        "purchase": str(line.purchase),
        "kind": str(line.kind),
        "list": _cents(priced_line.list_cost),
        "effective": _cents(priced_line.effective_cost),
        "assumption": line.assumption,
        "source": f"{price.source}, {price.as_of.isoformat()} ({price.evidence})",
    }


def _delta(before: Bill, after: Bill) -> dict[str, Any]:
    was, now = before.by_component(), after.by_component()
    changes = {name: now.get(name, 0.0) - was.get(name, 0.0) for name in was | now}
    drivers = sorted(changes.items(), key=lambda one: -abs(one[1]))[:_DRIVERS]
    return {
        "fromPhase": before.phase.name,
        "effective": _cents(after.effective - before.effective),
        "perUser": round(after.per_user - before.per_user, 5),
        "drivers": [
            {"component": name, "effective": _cents(change)} for name, change in drivers if change
        ],
    }


def _cents(amount: float) -> float:
    return round(amount, 2)
