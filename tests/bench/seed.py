"""An exchange to look at: the same people and objects in every stack of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from app.domain.objects import Traits, draw_seed, generate

DAYS = 30
GIFTS = 0.1  # part of the objects that were given away once


@dataclass(frozen=True)
class World:
    """Who and what there is, newest objects first."""

    handles: Sequence[str]
    objects: Sequence[UUID]
    words: Sequence[str]
    rows: dict[str, list[tuple[Any, ...]]]

    def view(self, chance: Random) -> str:
        """The path a person looks at: home 30 %, object 40 %, user 20 %, search 10 %.

        What is new is looked at most: half of the views go to the newest eighth.
        """
        page = chance.random()
        if page < 0.3:
            return "/"
        popular = chance.random() ** 3
        if page < 0.7:
            return f"/objects/{self.objects[int(popular * len(self.objects))]}"
        if page < 0.9:
            return f"/@{self.handles[int(popular * len(self.handles))]}"
        return f"/search?q={self.words[int(popular * len(self.words))]}"


def make(people: int, objects: int, seed: int) -> World:
    """Claims of the last 30 days, some of them given on; nobody claims twice a day."""
    chance = Random(seed)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    users = [
        (f"did:plc:seed{n:06}", f"collector-{n}.test", f"Collector {n}") for n in range(people)
    ]
    claims = sorted(chance.sample(range(people * DAYS), objects))
    rows: dict[str, list[tuple[Any, ...]]] = {
        "users (did, handle, display_name)": list(users),
        "objects (id, name, description, category, rarity, region, seed, owner_did,"
        " created_at)": [],
        "claims (did, day, object_id, claimed_at)": [],
        "gifts (id, object_id, giver_did, recipient_did, status, offered_at, expires_at,"
        " settled_at)": [],
        "transactions (id, kind, object_id, from_did, to_did, gift_id, at)": [],
    }
    things, claimed, gifts, ledger = list(rows.values())[1:]
    drawn: list[Traits] = []
    for number in claims:
        ago, did = number // people, users[number % people][0]
        # Yesterday and before, so that claims made while measuring are the newest.
        at = midnight - timedelta(days=DAYS - ago) + timedelta(seconds=chance.uniform(0, 86_400))
        traits = generate(draw_seed(did, at.date(), f"bench {seed}"))
        object_id, owner = _id(chance), did
        drawn.append(traits)
        claimed.append((did, at.date(), object_id, at))
        ledger.append((_id(chance), "claim", object_id, None, did, None, at))
        if chance.random() < GIFTS:
            given, gift_id = at + timedelta(hours=1), _id(chance)
            owner = chance.choice([user[0] for user in chance.sample(users, 2) if user[0] != did])
            gifts.append(
                (gift_id, object_id, did, owner, "accepted", at, at + timedelta(days=7), given)
            )
            ledger.append((_id(chance), "gift", object_id, did, owner, gift_id, given))
        things.append(
            (
                object_id,
                traits.name,
                traits.description,
                traits.category,
                traits.rarity,
                traits.region,
                traits.seed,
                owner,
                at,
            )
        )
    things.sort(key=lambda row: row[-1], reverse=True)
    words = [traits.name.split(" of ")[0].split()[-1] for traits in reversed(drawn)]
    return World(
        handles=[user[1] for user in users],
        objects=[row[0] for row in things],
        words=words[:2000],
        rows=rows,
    )


def fill(database_url: str, world: World) -> None:
    """Stores the world in an empty, migrated database."""
    with psycopg.connect(database_url) as conn:
        for target, rows in world.rows.items():
            _copy(conn, target, rows)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")


def _copy(conn: psycopg.Connection, target: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with conn.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _id(chance: Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)
