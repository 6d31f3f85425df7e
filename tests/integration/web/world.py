"""A little world for the site to show, made with the game's own services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

from app.cache import Cache
from app.db import Database
from app.domain import accounts, claims, gifts
from app.models import Object, User

SECRET = SecretStr("k" * 64)


@dataclass
class World:
    """Does what the bot's handlers do, and tells the cache as they do."""

    database: Database
    cache: Cache = field(default_factory=lambda: Cache(None))

    def person(self, handle: str, name: str | None = None) -> User:
        did = f"did:plc:{handle.partition('.')[0]}"
        with self.database.transaction() as tx:
            user = accounts.ensure_user(tx, did, handle, name)
            self.cache.account_changed(tx, did=did)
        return user

    def claim(self, user: User, at: datetime | None = None) -> Object:
        at = at or datetime.now(UTC)
        with self.database.transaction() as tx:
            outcome = claims.claim(tx, user, None, at, secret=SECRET)
            assert isinstance(outcome, claims.Claimed)
            self.cache.claimed(tx, did=user.did, object_id=outcome.object.id)
        return outcome.object

    def offer(
        self, giver: User, recipient: User, thing: Object, at: datetime | None = None
    ) -> UUID:
        at = at or datetime.now(UTC)
        with self.database.transaction() as tx:
            outcome = gifts.offer(
                tx, giver, recipient.did, recipient.handle, str(thing.id), None, at
            )
            assert isinstance(outcome, gifts.Offered)
            self.cache.offered(
                tx, giver_did=giver.did, recipient_did=recipient.did, object_id=thing.id
            )
        return outcome.gift.id

    def give(self, giver: User, recipient: User, thing: Object, at: datetime | None = None) -> None:
        at = at or datetime.now(UTC)
        self.accept(recipient, self.offer(giver, recipient, thing, at), at)

    def accept(self, recipient: User, gift: UUID, at: datetime | None = None) -> None:
        with self.database.transaction() as tx:
            outcome = gifts.accept(tx, recipient, gift, at or datetime.now(UTC))
            assert isinstance(outcome, gifts.Accepted)
            self.cache.gifted(
                tx,
                giver_did=outcome.gift.giver_did,
                recipient_did=recipient.did,
                object_id=outcome.object.id,
            )

    def leave(self, user: User) -> None:
        with self.database.transaction() as tx:
            self.cache.account_changed(tx, did=user.did)
            accounts.opt_out(tx, user)

    def rename(self, thing: Object, name: str, description: str) -> None:
        """Gives an object words the game would never make."""
        with self.database.transaction() as tx:
            tx.conn.execute(
                "UPDATE objects SET name = %s, description = %s WHERE id = %s",
                (name, description, thing.id),
            )

    def measure(self, *samples: tuple[float, str, str, float]) -> None:
        """Stores what a monitor would have measured: seconds ago, chart, line, value."""
        now = datetime.now(UTC)
        with self.database.transaction() as tx:
            for ago, series, label, value in samples:
                tx.conn.execute(
                    "INSERT INTO samples VALUES (%s, %s, %s, %s)",
                    (now - timedelta(seconds=ago), series, label, value),
                )


def watched_hour() -> Iterator[tuple[float, str, str, float]]:
    """An hour of a stack with replicas and a CDN, with a surge in it."""
    for ago in range(5, 3600, 30):
        surge = max(0.0, 1 - abs(ago - 1500) / 400)
        for number, priority in enumerate(("high", "normal", "low")):
            yield ago, "depth", priority, 3 + 800 * surge / (number + 1)
            yield ago, "oldest", priority, 0.2 + 9 * surge * number
        for name, usual in (("effect", 0.08), ("reply", 0.9), ("page", 0.01)):
            yield ago, name, "p50", usual * (1 + surge)
            yield ago, name, "p95", 2.5 * usual * (1 + 2 * surge)
        for label, share in (("cdn", 0.91), ("cache", 0.84), ("replicas", 0.95)):
            yield ago, "hits", label, share - 0.1 * surge
        for server in (1, 2):
            yield ago, "lag", f"server {server}", 0.002 * server + 0.03 * surge
        yield ago, "workers", "running", 3 + round(2 * surge)
        yield ago, "workers", "wanted", 5 if surge else 3
        yield ago, "mentions", "received", 100 + 900 * surge
        for number, account in enumerate(("etcetera.example", "second.etcetera.example")):
            yield ago, "points", account, 4800 - number * 900 - (3600 - ago) / 3


def populate(world: World, now: datetime) -> list[User]:
    """Some days of a small exchange: claims, gifts, offers. Returns the people."""
    names = [
        ("marigold.test", "Marigold Finch"),
        ("otto.test", "Otto 🐙"),
        ("wren.bsky.social", "Wren"),
        ("ines.harbour.example", None),
        ("tobias-the-lamplighter.bsky.social", "Tobias, lamplighter of the lower town"),
        ("noor.test", "نور"),
    ]
    people = [world.person(handle, name) for handle, name in names]
    for back in range(9, -1, -1):
        for index, person in enumerate(people[: 6 - back % 4]):
            at = now - timedelta(days=back, minutes=7 * index + back)
            thing = world.claim(
                person, at if at.date() == (now - timedelta(days=back)).date() else now
            )
            if (back + index) % 4 == 1:
                world.give(
                    person, people[(index + 2) % len(people)], thing, at + timedelta(minutes=3)
                )
            elif (back + index) % 7 == 3:
                world.offer(person, people[(index + 1) % len(people)], thing, now)
    return people
