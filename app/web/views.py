"""What the site shows, as the API returns it, the pages render it and the cache stores it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, computed_field

from app.models import Category, Lane, Priority, Rarity, Region, TransactionKind
from app.repository.users import INVALID_HANDLE

T = TypeVar("T")


class View(BaseModel):
    # Computed fields come back from the cache as extra ones; they are computed again.
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Person(View):
    """Somebody on Bluesky. Whoever opted out is shown as nobody: `null`."""

    did: str
    handle: str
    name: str | None
    """The display name, where there is one."""

    @computed_field
    def page(self) -> str:
        """Path of the page about this person."""
        # Many have no valid handle; all of them have this one.
        return f"/users/{self.did}" if self.handle == INVALID_HANDLE else f"/@{self.handle}"


class ObjectRef(View):
    """An object, as much as a link to it needs."""

    id: UUID
    name: str
    rarity: Rarity

    @computed_field
    def page(self) -> str:
        """Path of the page about this object."""
        return f"/objects/{self.id}"


class ObjectSummary(ObjectRef):
    """An object, as much as a card shows."""

    category: Category
    region: Region
    created_at: datetime
    owner: Person | None

    @computed_field
    def picture_svg(self) -> str:
        """Path of the picture as SVG."""
        return f"/objects/{self.id}/picture.svg"

    @computed_field
    def picture_png(self) -> str:
        """Path of the picture as PNG."""
        return f"/objects/{self.id}/picture.png"


class Transfer(View):
    """One change of ownership. A claim comes from nobody."""

    id: UUID
    kind: TransactionKind
    at: datetime
    giver: Person | None
    receiver: Person | None


class Gift(Transfer):
    """A gift that was accepted."""

    object: ObjectRef


class Offer(View):
    """A gift that waits for an answer."""

    id: UUID
    object: ObjectRef
    giver: Person | None
    receiver: Person | None
    offered_at: datetime
    expires_at: datetime


class ObjectDetail(ObjectSummary):
    """An object with everything that is known about it."""

    description: str
    alt: str
    """Description of the picture, for who cannot see it."""
    provenance: list[Transfer]
    """Who had it, newest first; at most 100."""
    offer: Offer | None
    """The gift it is part of, while that waits for an answer."""


class Claim(View):
    claimed_at: datetime
    claimer: Person | None
    object: ObjectSummary


class Collection(View):
    """How many objects somebody has."""

    objects: int
    by_rarity: dict[Rarity, int]


class PersonDetail(Person):
    since: datetime
    collection: Collection
    claims: int
    """Daily claims made so far."""
    gifts_given: int
    gifts_received: int
    offers_received: list[Offer]
    """Gifts waiting for this person's answer."""
    offers_made: list[Offer]


class Ranked(View):
    person: Person
    count: int
    """Objects owned, or gifts given."""


class Leaderboard(View):
    collectors: list[Ranked]
    """Who has most objects."""
    givers: list[Ranked]
    """Who gave most gifts that were accepted."""


class Page(View, Generic[T]):
    items: list[T]
    next: str | None
    """Cursor of the next page: pass it as `cursor`. Null on the last page."""


class Found(View):
    query: str
    objects: Page[ObjectSummary]
    people: list[Person]


class Live(View):
    """The numbers that move."""

    objects: int
    people: int
    claims_today: int
    gifts_today: int
    day: date
    """The current UTC day."""
    next_day: datetime
    """When everybody may claim again."""


class Day(View):
    day: date
    claims: int


class Stats(Live):
    claims_by_day: list[Day]
    """The last 14 days, oldest first, today last."""


class Home(View):
    claims: list[Claim]
    """Today's claims, newest first."""
    earlier: list[ObjectSummary]
    """The newest objects of earlier days, while today has few."""
    gifts: list[Gift]


class QueueLevel(View):
    lane: Lane
    """Effects of mentions, or replies to them."""
    priority: Priority
    waiting: int
    """Not due yet: a delay or a retry."""
    due: int
    leased: int
    oldest_seconds: Annotated[float, Field(ge=0)]
    """For how long the oldest due job has been waiting."""


class Point(View):
    """A value at a time; null where there is nothing to measure."""

    at: datetime
    value: float | None


class AccountPoints(View):
    """Write points that an account of the bot has spent in the last 60 minutes and 24 hours."""

    handle: str
    hour: int
    day: int


class Status(View):
    """How the exchange is doing. Everything the database knows; about two seconds old."""

    queue: list[QueueLevel]
    dead: int
    mentions: list[Point]
    """Mentions received in each of the last 60 minutes."""
    replies: list[Point]
    """95th percentile of the seconds from a mention's arrival to its reply, in 5-minute slots."""
    replies_sent: int
    """In the last hour."""
    reply_median: float | None
    reply_p95: float | None
    ingest_lag: float | None
    """Median seconds from a mention on Bluesky to its arrival here, in the last quarter hour."""
    ingest_read_at: datetime | None
    """When the source of mentions was last read with a result."""
    last_mention_at: datetime | None
    write_points: list[Point]
    """Spent in each of the last 24 hours."""
    write_points_hour: int
    write_points_day: int
    accounts: int
    points_of_accounts: list[AccountPoints]


class Line(View):
    label: str
    values: list[float | None]
    """One for each step, oldest first; null where nothing was measured."""


class Chart(View):
    name: str
    lines: list[Line]


class History(View):
    """What the monitor measured; empty where there is none. Seconds, shares of 1 or numbers.

    `depth`, `oldest`: jobs not done and the age of the oldest due one, by priority. `effect`,
    `reply`, `page`: percentiles of times. `hits`: shares that the caches and the replicas
    answered. `lag`: of each replica. `workers`: running and wanted. `points`: left to each bot
    account in this hour. `mentions`: a minute.
    """

    until: datetime
    step_seconds: float
    charts: list[Chart]
