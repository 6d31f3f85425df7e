"""The nouns of the exchange, as the repository returns them. Times are aware and in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID


class Rarity(StrEnum):
    COMMON = "common"
    UNCOMMON = "uncommon"
    RARE = "rare"
    EPIC = "epic"
    LEGENDARY = "legendary"

    @property
    def value_points(self) -> int:
        """What an object of this rarity adds to the value of a collection."""
        return _VALUE_POINTS[self]

    @property
    def stars(self) -> int:
        """1 (common) to 5 (legendary), for showing a rarity without colour."""
        return list(Rarity).index(self) + 1


_VALUE_POINTS = {
    Rarity.COMMON: 1,
    Rarity.UNCOMMON: 3,
    Rarity.RARE: 10,
    Rarity.EPIC: 30,
    Rarity.LEGENDARY: 100,
}


class Region(StrEnum):
    ATTIC = "attic"
    GREENHOUSE = "greenhouse"
    HARBOUR = "harbour"
    HIGHLANDS = "highlands"
    NIGHT_MARKET = "night market"
    OBSERVATORY = "observatory"
    ORCHARD = "orchard"
    TIDEPOOLS = "tidepools"


class Category(StrEnum):
    BELL = "bell"
    BOOK = "book"
    BOTTLE = "bottle"
    CLOCK = "clock"
    COMPASS = "compass"
    GEM = "gem"
    KEY = "key"
    KITE = "kite"
    LANTERN = "lantern"
    MUSHROOM = "mushroom"
    SHELL = "shell"
    TEAPOT = "teapot"


class GiftStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class TransactionKind(StrEnum):
    CLAIM = "claim"
    GIFT = "gift"


class ReplyState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DIGESTED = "digested"
    WITHHELD = "withheld"


class JobState(StrEnum):
    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"


class Priority(IntEnum):
    HIGH = 0
    NORMAL = 1
    LOW = 2


class Lane(StrEnum):
    """Jobs that share threads; the table `jobs` tells a job's lane by its kind."""

    EFFECTS = "effects"
    REPLIES = "replies"


@dataclass(frozen=True, slots=True)
class User:
    did: str
    handle: str
    display_name: str | None
    opted_out_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def opted_out(self) -> bool:
        return self.opted_out_at is not None


@dataclass(frozen=True, slots=True)
class Object:
    id: UUID
    name: str
    description: str
    category: Category
    rarity: Rarity
    region: Region
    seed: int
    owner_did: str
    owner_handle: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Gift:
    id: UUID
    object_id: UUID
    object_name: str
    giver_did: str
    giver_handle: str
    recipient_did: str
    recipient_handle: str
    status: GiftStatus
    mention_uri: str | None
    offered_at: datetime
    expires_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """One change of ownership. A claim comes from nobody."""

    id: UUID
    kind: TransactionKind
    object_id: UUID
    object_name: str
    from_did: str | None
    from_handle: str | None
    to_did: str
    to_handle: str
    gift_id: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Mention:
    """A post that mentions the bot. Strong refs are `{"uri": ..., "cid": ...}`."""

    uri: str
    cid: str
    author_did: str
    author_handle: str
    text: str
    facets: list[dict[str, Any]]
    reply_root: dict[str, str] | None
    reply_parent: dict[str, str] | None
    source: str
    indexed_at: datetime
    received_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The bot's answer to a mention: `record` is an app.bsky.feed.post without its picture.

    From `begun_at` on it may be on Bluesky, sent by `account`, which stays the same.
    """

    mention_uri: str
    account: str
    rkey: str
    record: dict[str, Any]
    object_id: UUID | None
    gift_id: UUID | None
    state: ReplyState
    reason: str | None
    uri: str | None
    cid: str | None
    created_at: datetime
    sent_at: datetime | None
    begun_at: datetime | None
    short_at: datetime | None
    digest_id: UUID | None


@dataclass(frozen=True, slots=True)
class Digest:
    """One post that answers several people, for want of points to answer each."""

    id: UUID
    job_key: str
    account: str
    rkey: str
    record: dict[str, Any]
    uri: str | None
    cid: str | None
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: str
    key: str
    payload: dict[str, Any]
    priority: Priority
    state: JobState
    run_at: datetime
    attempts: int
    leased_by: str | None
    lease_until: datetime | None
    dispatched_at: datetime | None
    last_error: str | None
    created_at: datetime
    done_at: datetime | None
