"""Everything the site reads, through the cache: pages and API ask here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from pydantic import TypeAdapter
from werkzeug.exceptions import NotFound

from app.cache import WORLD, Cache, Kind, handle_scope, object_scope, user_scope
from app.clock import day_of, next_day, start_of, utcnow
from app.db import LATEST, PRIMARY, Connection, Database
from app.domain.objects import Traits, alt_text
from app.jobs.stats import stats as queue_stats
from app.models import Rarity
from app.repository import load
from app.web import views
from app.web.cursors import Cursor

T = TypeVar("T")
Row = dict[str, Any]

SITE = load("site")
STATUS = load("status")

# Whoever looks at a page would rather be told soon that it is not to be had.
DATABASE_SECONDS = 2.0
HOME_CLAIMS = 12
HOME_GIFTS = 6
COLLECTION_PAGE = 24
PROVENANCE = 100
OFFERS = 50
LEADERS = 25
PEOPLE_FOUND = 12
DAYS = 14
HISTORY_STEPS = 120

# What shows the whole world changes with each claim: loaded four times a second at most, and not
# kept for long, for somebody else's claim is never far.
PAUSE = 0.25
WORLD_SECONDS = 30
# These count whole tables. One can stand on a page that pauses itself: together within a second.
COUNT_PAUSE = 0.7


def _object_ends(found: views.ObjectDetail) -> datetime | None:
    return found.offer.expires_at if found.offer else None


def _person_ends(person: views.PersonDetail) -> datetime | None:
    offers = (*person.offers_received, *person.offers_made)
    return min((offer.expires_at for offer in offers), default=None)


OBJECT = Kind("object", TypeAdapter(views.ObjectDetail), ends=_object_ends)
PERSON = Kind("person", TypeAdapter(views.PersonDetail), ends=_person_ends)
COLLECTION = Kind("collection", TypeAdapter(views.Page[views.ObjectSummary]))
HANDLE = Kind("handle", TypeAdapter(str))
HOME = Kind("home", TypeAdapter(views.Home), WORLD_SECONDS, PAUSE)
LIVE = Kind("live", TypeAdapter(views.Live), WORLD_SECONDS, PAUSE)
CLAIMS = Kind("claims", TypeAdapter(views.Page[views.Claim]), WORLD_SECONDS, PAUSE)
OBJECTS = Kind("objects", TypeAdapter(views.Page[views.ObjectSummary]), WORLD_SECONDS, PAUSE)
PEOPLE = Kind("people", TypeAdapter(views.Page[views.Person]), WORLD_SECONDS, PAUSE)
SEARCH = Kind("search", TypeAdapter(views.Found), WORLD_SECONDS, PAUSE)
LEADERBOARD = Kind("leaderboard", TypeAdapter(views.Leaderboard), WORLD_SECONDS, COUNT_PAUSE)
PEOPLE_COUNT = Kind("people_count", TypeAdapter(int), WORLD_SECONDS, COUNT_PAUSE)
# Nothing changes about a day that is over.
OBJECTS_BEFORE = Kind("objects_before", TypeAdapter(int), seconds=86_400)
DAYS_BEFORE = Kind("days_before", TypeAdapter(list[views.Day]), seconds=86_400)
HISTORY = Kind("history", TypeAdapter(views.History), seconds=5)
STATUS_KIND = Kind("status", TypeAdapter(views.Status), seconds=2)


@dataclass(frozen=True)
class ObjectFilter:
    rarity: Rarity | None = None
    category: str | None = None
    region: str | None = None


class Reads:
    """The site's questions. What does not exist, or belongs to somebody who opted out, is NotFound.

    Raises psycopg.Error or PoolTimeout when the database does not answer.
    """

    def __init__(
        self, database: Database, cache: Cache, now: Callable[[], datetime] = utcnow
    ) -> None:
        self._database = database
        self._cache = cache
        self.now = now

    # -- the world -------------------------------------------------------------------------------

    def home(self) -> views.Home:
        day = day_of(self.now())

        def read(conn: Connection) -> views.Home:
            claims = [
                _claim(row)
                for row in SITE.claims_of_day(
                    conn, day=day, before_at=None, before_id=None, count=HOME_CLAIMS
                )
            ]
            earlier: list[views.ObjectSummary] = []
            if len(claims) < HOME_CLAIMS:
                earlier = _objects(
                    conn, Cursor(start_of(day), UUID(int=0)), HOME_CLAIMS, ObjectFilter(), None
                )
            gifts = [
                views.Gift(object=_object_ref(row), **_transfer(row))
                for row in SITE.recent_gifts(conn, count=HOME_GIFTS)
            ]
            return views.Home(claims=claims, earlier=earlier, gifts=gifts)

        return self._get(HOME, WORLD, f"{day}", read)

    def live(self) -> views.Live:
        now = self.now()
        day, start = day_of(now), start_of(day_of(now))
        # A claim made just before midnight may be committed after it, when the count of the days
        # before is taken already: that count ends an hour early.
        cut = start - timedelta(hours=1)

        def load(after: int) -> views.Live:
            before = self._get(
                OBJECTS_BEFORE,
                f"day:{day}",
                "objects",
                lambda conn: int(SITE.count_objects_before(conn, at=cut)),
            )
            people = self._get(PEOPLE_COUNT, WORLD, "", lambda conn: int(SITE.count_people(conn)))
            counts = self._ask(lambda conn: SITE.counts(conn, day=day, start=start, cut=cut), after)
            return views.Live(
                objects=before + counts["objects"],
                people=people,
                claims_today=counts["claims"],
                gifts_today=counts["gifts"],
                day=day,
                next_day=next_day(now),
            )

        return self._cache.get(LIVE, WORLD, f"{day}", load)

    def stats(self) -> views.Stats:
        live = self.live()
        first, last = live.day - timedelta(days=DAYS - 1), live.day - timedelta(days=1)
        days = self._get(
            DAYS_BEFORE,
            f"day:{live.day}",
            "days",
            lambda conn: [
                views.Day(day=row["day"], claims=row["count"])
                for row in SITE.claims_per_day(conn, first=first, last=last)
            ],
        )
        today = views.Day(day=live.day, claims=live.claims_today)
        fields = {name: getattr(live, name) for name in views.Live.model_fields}
        return views.Stats(**fields, claims_by_day=[*days, today])

    def claims_today(self, cursor: Cursor | None, count: int) -> views.Page[views.Claim]:
        day = day_of(self.now())

        def read(conn: Connection) -> views.Page[views.Claim]:
            rows = SITE.claims_of_day(
                conn,
                day=day,
                before_at=cursor.at if cursor else None,
                before_id=cursor.id if cursor else None,
                count=count + 1,
            )
            return _page(
                [_claim(row) for row in rows],
                count,
                lambda last: Cursor(last.claimed_at, last.object.id),
            )

        return self._get(CLAIMS, WORLD, f"{day}/{cursor}/{count}", read)

    def objects(
        self, wanted: ObjectFilter, cursor: Cursor | None, count: int
    ) -> views.Page[views.ObjectSummary]:
        return self._get(
            OBJECTS,
            WORLD,
            f"{wanted}/{cursor}/{count}",
            lambda conn: _object_page(
                _objects(conn, cursor, count + 1, wanted, owner_did=None), count
            ),
        )

    def people(self, after_did: str, count: int) -> views.Page[views.Person]:
        def read(conn: Connection) -> views.Page[views.Person]:
            people = [
                _somebody(row) for row in SITE.people(conn, after_did=after_did, count=count + 1)
            ]
            last = people[count - 1].did if len(people) > count else None
            return views.Page(items=people[:count], next=last)

        return self._get(PEOPLE, WORLD, f"{after_did}/{count}", read)

    def leaderboard(self) -> views.Leaderboard:
        def read(conn: Connection) -> views.Leaderboard:
            return views.Leaderboard(
                collectors=[_ranked(row) for row in SITE.collectors(conn, count=LEADERS)],
                givers=[_ranked(row) for row in SITE.givers(conn, count=LEADERS)],
            )

        return self._get(LEADERBOARD, WORLD, "", read)

    def search(self, query: str, cursor: Cursor | None, count: int) -> views.Found:
        """Objects with these words, people whose handle starts with them. `query` has no NUL."""

        def read(conn: Connection) -> views.Found:
            rows = SITE.search_objects(
                conn,
                query=query,
                before_at=cursor.at if cursor else None,
                before_id=cursor.id if cursor else None,
                count=count + 1,
            )
            objects = _object_page([_summary(row) for row in rows], count)
            prefix = _like_prefix(query.lower().removeprefix("@"))
            people = [
                _somebody(row)
                for row in SITE.search_people(conn, prefix=prefix, count=PEOPLE_FOUND)
            ]
            return views.Found(query=query, objects=objects, people=people)

        return self._get(SEARCH, WORLD, f"{cursor}/{count}/{query}", read)

    # -- one object, one person ------------------------------------------------------------------

    def object(self, object_id: UUID) -> views.ObjectDetail:
        now = self.now()

        def read(conn: Connection) -> views.ObjectDetail:
            row = SITE.object_with_owner(conn, id=object_id)
            if row is None:
                raise NotFound("There is no such object.")
            offers = _offers(conn, now, object_id=object_id)
            return views.ObjectDetail(
                **_summary(row).model_dump(round_trip=True),
                description=row["description"],
                alt=alt_text(Traits.of(row)),
                provenance=[
                    views.Transfer(**_transfer(item))
                    for item in SITE.provenance(conn, object_id=object_id, count=PROVENANCE)
                ],
                offer=offers[0] if offers else None,
            )

        return self._get(OBJECT, object_scope(object_id), "", read)

    def person(self, did: str) -> views.PersonDetail:
        now = self.now()

        def read(conn: Connection) -> views.PersonDetail:
            row = SITE.person(conn, did=did)
            if row is None or row["hidden"]:
                raise NotFound("Nobody here goes by that name.")
            totals = SITE.person_totals(conn, did=did)
            rarities = {r["rarity"]: r["count"] for r in SITE.collection_by_rarity(conn, did=did)}
            return views.PersonDetail(
                did=did,
                handle=row["handle"],
                name=row["name"],
                since=row["created_at"],
                collection=views.Collection(
                    objects=sum(rarities.values()),
                    by_rarity={rarity: rarities.get(rarity, 0) for rarity in Rarity},
                ),
                claims=totals["claims"],
                gifts_given=totals["given"],
                gifts_received=totals["received"],
                offers_received=_offers(conn, now, recipient_did=did),
                offers_made=_offers(conn, now, giver_did=did),
            )

        return self._get(PERSON, user_scope(did), "", read)

    def did_of(self, handle: str) -> str:
        def read(conn: Connection) -> str:
            did = SITE.did_of_handle(conn, handle=handle)
            if did is None:
                raise NotFound("Nobody here goes by that name.")
            return str(did)

        return self._get(HANDLE, handle_scope(handle), "", read)

    def collection(
        self, did: str, cursor: Cursor | None, count: int
    ) -> views.Page[views.ObjectSummary]:
        return self._get(
            COLLECTION,
            user_scope(did),
            f"{cursor}/{count}",
            lambda conn: _object_page(
                _objects(conn, cursor, count + 1, ObjectFilter(), owner_did=did), count
            ),
        )

    def traits(self, object_id: UUID) -> Traits:
        """What the picture is drawn from. Not cached here: browsers and CDN keep the picture."""

        def read(conn: Connection) -> Row | None:
            row: Row | None = SITE.object_with_owner(conn, id=object_id)
            return row

        # A replica need not know yet what was claimed just now.
        row = self._ask(read, LATEST) or self._ask(read, PRIMARY)
        if row is None:
            raise NotFound("There is no such object.")
        return Traits.of(row)

    # -- how we are doing ------------------------------------------------------------------------

    def status(self) -> views.Status:
        return self._get(STATUS_KIND, "status", "", _status)

    def history(self, hours: int) -> views.History:
        def read(conn: Connection) -> views.History:
            charts: dict[str, dict[str, list[float | None]]] = {}
            for row in STATUS.history(conn, hours=hours, steps=HISTORY_STEPS):
                lines = charts.setdefault(row["series"], {})
                values = lines.setdefault(row["label"], [None] * HISTORY_STEPS)
                values[row["step"]] = row["value"]
            return views.History(
                until=self.now(),
                step_seconds=hours * 3600 / HISTORY_STEPS,
                charts=[
                    views.Chart(
                        name=name,
                        lines=[views.Line(label=label, values=v) for label, v in lines.items()],
                    )
                    for name, lines in charts.items()
                ],
            )

        return self._get(HISTORY, "status", f"{hours}", read)

    # -- plumbing --------------------------------------------------------------------------------

    def _get(self, kind: Kind[T], scope: str, key: str, load: Callable[[Connection], T]) -> T:
        return self._cache.get(kind, scope, key, lambda after: self._ask(load, after))

    def _ask(self, load: Callable[[Connection], T], after: int) -> T:
        return self._database.query(load, after=after, timeout=DATABASE_SECONDS)


def _status(conn: Connection) -> views.Status:
    queue = queue_stats(conn)
    lag = STATUS.ingest_lag(conn)
    cursors = list(STATUS.cursors(conn))
    spent = STATUS.write_points_spent(conn)
    accounts = [
        views.AccountPoints(handle=row["account"], hour=row["hour"], day=row["day"])
        for row in STATUS.write_points_by_account(conn)
    ]
    hour = STATUS.replies_in_seconds(conn, seconds=3600)
    return views.Status(
        queue=[
            views.QueueLevel(
                lane=level.lane,
                priority=level.priority,
                waiting=level.delayed,
                due=level.due,
                leased=level.leased,
                oldest_seconds=max(0.0, level.oldest),
            )
            for level in queue.levels
        ],
        dead=queue.dead,
        mentions=[
            views.Point(at=row["at"], value=row["count"])
            for row in STATUS.mentions_per_minute(conn, minutes=60)
        ],
        replies=[
            views.Point(at=row["at"], value=row["p95"])
            for row in STATUS.reply_seconds_per_slot(conn, slots=12, seconds=300)
        ],
        replies_sent=hour["count"],
        reply_median=hour["median"],
        reply_p95=hour["p95"],
        ingest_lag=lag["median"],
        ingest_read_at=max((row["updated_at"] for row in cursors), default=None),
        last_mention_at=lag["last_at"],
        write_points=[
            views.Point(at=row["at"], value=row["points"])
            for row in STATUS.write_points_per_hour(conn, hours=24)
        ],
        write_points_hour=spent["hour"],
        write_points_day=spent["day"],
        accounts=max(1, len(accounts)),
        points_of_accounts=accounts,
    )


def _person(row: Row, role: str) -> views.Person | None:
    if row[f"{role}_did"] is None or row[f"{role}_hidden"]:
        return None
    return views.Person(
        did=row[f"{role}_did"], handle=row[f"{role}_handle"], name=row[f"{role}_name"]
    )


def _somebody(row: Row) -> views.Person:
    return views.Person(did=row["did"], handle=row["handle"], name=row["name"])


def _ranked(row: Row) -> views.Ranked:
    return views.Ranked(person=_somebody(row), count=row["count"])


def _summary(row: Row) -> views.ObjectSummary:
    return views.ObjectSummary(
        id=row["id"],
        name=row["name"],
        rarity=row["rarity"],
        category=row["category"],
        region=row["region"],
        created_at=row["created_at"],
        owner=_person(row, "owner"),
    )


def _object_ref(row: Row) -> views.ObjectRef:
    return views.ObjectRef(
        id=row["object_id"], name=row["object_name"], rarity=row["object_rarity"]
    )


def _claim(row: Row) -> views.Claim:
    return views.Claim(
        claimed_at=row["claimed_at"], claimer=_person(row, "claimer"), object=_summary(row)
    )


def _transfer(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "at": row["at"],
        "giver": _person(row, "giver"),
        "receiver": _person(row, "receiver"),
    }


def _offers(
    conn: Connection,
    now: datetime,
    *,
    object_id: UUID | None = None,
    recipient_did: str | None = None,
    giver_did: str | None = None,
) -> list[views.Offer]:
    rows = SITE.offers(
        conn,
        object_id=object_id,
        recipient_did=recipient_did,
        giver_did=giver_did,
        now=now,
        count=OFFERS,
    )
    return [
        views.Offer(
            id=row["id"],
            object=_object_ref(row),
            giver=_person(row, "giver"),
            receiver=_person(row, "receiver"),
            offered_at=row["offered_at"],
            expires_at=row["expires_at"],
        )
        for row in rows
    ]


def _objects(
    conn: Connection,
    cursor: Cursor | None,
    count: int,
    wanted: ObjectFilter,
    owner_did: str | None,
) -> list[views.ObjectSummary]:
    rows = SITE.objects(
        conn,
        owner_did=owner_did,
        rarity=wanted.rarity,
        category=wanted.category,
        region=wanted.region,
        before_at=cursor.at if cursor else None,
        before_id=cursor.id if cursor else None,
        count=count,
    )
    return [_summary(row) for row in rows]


def _object_page(found: list[views.ObjectSummary], count: int) -> views.Page[views.ObjectSummary]:
    return _page(found, count, lambda last: Cursor(last.created_at, last.id))


def _page(found: list[T], count: int, cursor: Callable[[T], Cursor]) -> views.Page[T]:
    """A page of `count`, from what was found when asking for one more."""
    more = len(found) > count
    return views.Page(items=found[:count], next=cursor(found[count - 1]).encode() if more else None)


def _like_prefix(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped + "%"
