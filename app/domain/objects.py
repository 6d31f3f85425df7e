"""What an object is, as a pure function of its seed, and how a claim gets its seed."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, Self

from app.domain import words
from app.domain.draw import Draw
from app.models import Category, Rarity, Region

# Percent. Documented on the site; changing them changes what old seeds would give, not old objects.
ODDS: Mapping[Rarity, int] = {
    Rarity.COMMON: 60,
    Rarity.UNCOMMON: 25,
    Rarity.RARE: 10,
    Rarity.EPIC: 4,
    Rarity.LEGENDARY: 1,
}
NAME_LENGTH = 64
DESCRIPTION_LENGTH = 300
SEED_BITS = 63  # a positive bigint of PostgreSQL

_PLAIN_NAMES = 40  # percent of names without "of ..."
_GRAND_NAMES = 60  # percent of names with an adjective of their rarity, where it has some
_FRAMES = {
    Rarity.COMMON: "a plain frame with one pip",
    Rarity.UNCOMMON: "a double frame with two pips",
    Rarity.RARE: "a frame with diamonds in its corners and three pips",
    Rarity.EPIC: "a scrolled frame with stars in its corners and four pips",
    Rarity.LEGENDARY: "a crowned frame, with rays of light and five pips",
}
_SETTINGS = {
    Region.ATTIC: "before the rafters of the attic",
    Region.GREENHOUSE: "among the leaves of the greenhouse",
    Region.HARBOUR: "above the waves of the harbour",
    Region.HIGHLANDS: "before the hills of the highlands",
    Region.NIGHT_MARKET: "under the lamps of the night market",
    Region.OBSERVATORY: "before the stars of the observatory",
    Region.ORCHARD: "under the boughs of the orchard",
    Region.TIDEPOOLS: "over the ripples of the tidepools",
}


class Portrayed(Protocol):
    """Whatever has an object's traits: `Traits` or a stored `models.Object`."""

    @property
    def seed(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def category(self) -> Category: ...
    @property
    def rarity(self) -> Rarity: ...
    @property
    def region(self) -> Region: ...


@dataclass(frozen=True, slots=True)
class Traits:
    seed: int
    name: str
    description: str
    category: Category
    rarity: Rarity
    region: Region

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The traits in a row of the table `objects`."""
        return cls(
            seed=row["seed"],
            name=row["name"],
            description=row["description"],
            category=Category(row["category"]),
            rarity=Rarity(row["rarity"]),
            region=Region(row["region"]),
        )


def draw_seed(did: str, day: date, secret: str) -> int:
    """The seed of a user's claim of a day: the same for a retry, yet nobody can foretell it."""
    message = f"claim/{day.isoformat()}/{did}".encode()
    digest = hmac.digest(secret.encode(), message, "sha256")
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def generate(seed: int) -> Traits:
    """The object of a seed, the same every time."""
    draw = Draw(seed)
    rarity = draw.weighted("rarity", ODDS)
    category = draw.pick("category", tuple(Category))
    region = draw.pick("region", tuple(Region))
    noun = draw.pick("noun", words.NOUNS[category])
    return Traits(
        seed=seed,
        name=_name(draw, rarity, noun),
        description=_description(draw, category, region, noun),
        category=category,
        rarity=rarity,
        region=region,
    )


def alt_text(thing: Portrayed) -> str:
    """What the picture shows, for who cannot see it."""
    return (
        f"{thing.name}: {_with_article(thing.category)} {_SETTINGS[thing.region]},"
        f" in {_FRAMES[thing.rarity]} for {_with_article(thing.rarity)} object."
    )


def _name(draw: Draw, rarity: Rarity, noun: str) -> str:
    grand = words.GRAND_ADJECTIVES[rarity]
    adjectives = words.ADJECTIVES
    if grand and draw.below("grand", 100) < _GRAND_NAMES:
        adjectives = grand
    name = f"{draw.pick('adjective', adjectives)} {noun}"
    if draw.below("plain", 100) < _PLAIN_NAMES:
        return name
    return f"{name} of {draw.pick('tail', words.TAILS)}"


def _description(draw: Draw, category: Category, region: Region, noun: str) -> str:
    origin = draw.pick("origin", words.ORIGINS[region])
    return " ".join(
        (
            origin.format(a_noun=_with_article(noun.lower())),
            draw.pick("quirk", words.QUIRKS[category]),
            draw.pick("closing", words.CLOSINGS),
        )
    )


def _with_article(noun: str) -> str:
    # "a umbrella cap" would be wrong, "an uncommon" is right: no word here begins with a "you".
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
