"""The price book: what AWS charges for each thing we use, with where and when that was read."""

from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from infra.cost.regions import Region

HOURS_PER_MONTH = 730
STALE_AFTER = timedelta(days=180)
DEFAULT = Path(__file__).parent / "pricebook.yaml"


class UnpricedError(KeyError):
    """The price book does not know the item; the message names it and the file to add it to."""

    def __str__(self) -> str:
        return str(self.args[0])


class Purchase(StrEnum):
    """How capacity is bought."""

    ON_DEMAND = "on-demand"
    COMMITTED = "committed"  # one year, nothing upfront: reserved or under a savings plan
    SPOT = "spot"


Amount = Annotated[float, Field(gt=0)]


class Price(BaseModel):
    """One item. `value` is US dollars for one `unit`; `free` units a month cost nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Amount
    unit: Literal["hour", "month", "gb-month", "gb", "million"]
    spot: Amount | None = None
    committed: Amount | None = None
    free: Annotated[float, Field(ge=0)] = 0
    source: Annotated[str, Field(min_length=3)]
    as_of: date
    evidence: Literal["source", "secondary", "derived", "recalled"]

    def monthly(self, purchase: Purchase = Purchase.ON_DEMAND) -> float:
        """US dollars for one unit over a month.

        Raises:
            ValueError: the item cannot be bought that way.
        """
        value = {
            Purchase.ON_DEMAND: self.value,
            Purchase.COMMITTED: self.committed,
            Purchase.SPOT: self.spot,
        }[purchase]
        if value is None:
            raise ValueError(f"has no {purchase} price")
        return value * HOURS_PER_MONTH if self.unit == "hour" else value

    def at(self, region: Region) -> Self:
        """At a region's level; what is derived in it is no longer a price that was read."""
        scaled = {
            field: amount * region.level
            for field in ("value", "spot", "committed")
            if (amount := getattr(self, field)) is not None
        }
        source = f"{self.source}, x{region.level:g} ({region.source})"
        return self.model_copy(update={**scaled, "source": source, "evidence": "derived"})


class PriceBook(BaseModel):
    """Prices of one region by item, such as `ec2.t4g.small`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    currency: Literal["USD"]
    prices: dict[str, Price]

    @classmethod
    def load(cls, path: Path = DEFAULT) -> Self:
        """Reads a price book. Raises pydantic.ValidationError when a price lacks something."""
        return cls.model_validate(YAML(typ="safe", pure=True).load(path))

    def __getitem__(self, item: str) -> Price:
        """The price of an item. Raises UnpricedError."""
        try:
            return self.prices[item]
        except KeyError:
            raise UnpricedError(
                f"{item} has no price: add it to {DEFAULT.name} with its source and date"
            ) from None

    def at(self, region: Region, name: str) -> Self:
        """The same prices at the level of another region: an estimate, as its prices say."""
        if region.level == 1:
            return self.model_copy(update={"region": name})
        prices = {item: price.at(region) for item, price in self.prices.items()}
        return self.model_copy(update={"region": name, "prices": prices})

    @cached_property
    def as_of(self) -> date:
        """When the newest price was read."""
        return max(price.as_of for price in self.prices.values())

    def stale(self, today: date) -> list[str]:
        """The items whose price is older than 180 days."""
        return [i for i, price in self.prices.items() if today - price.as_of > STALE_AFTER]
