"""What there is to look at and to give away, newest first, as it grows under the load."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import quote
from uuid import UUID

import httpx
import psycopg
from psycopg.rows import dict_row

_MOST = 2_000
_REFRESH_SECONDS = 5.0
_ASSET = re.compile(r'"(/static/[^"]+)"')
_API = ("/api/v1/objects", "/api/v1/stats", "/api/v1/live", "/api/v1/claims/today")


@dataclass(frozen=True)
class Thing:
    id: UUID
    name: str
    owner_did: str
    owner_handle: str


class Sights:
    """Refreshed by a thread of its own while the block lasts."""

    def __init__(self, database_url: str, web_url: str) -> None:
        self._database_url = database_url
        self._assets: list[str] = _ASSET.findall(httpx.get(web_url, timeout=30).text) or [
            "/favicon.ico"
        ]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="sights", daemon=True)
        self.things: Sequence[Thing] = ()

    def __enter__(self) -> Sights:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def path(self, page: str, chance: Random) -> str:
        """Where somebody goes who wants such a page; home while there is nothing else."""
        match page:
            case "leaderboard":
                return "/leaderboard"
            case "api":
                return chance.choice(_API)
            case "static":
                return chance.choice(self._assets)
        thing = self._popular(chance)
        if thing is None or page == "home":
            return "/"
        match page:
            case "object":
                return f"/objects/{thing.id}"
            case "person":
                return f"/@{quote(thing.owner_handle)}"
            case "picture":
                return f"/objects/{thing.id}/picture.svg"
            case _:
                return f"/search?q={quote(thing.name.split()[-1])}"

    def look(self) -> None:
        with psycopg.connect(self._database_url, row_factory=dict_row, connect_timeout=5) as conn:
            rows = conn.execute(
                "SELECT objects.id, name, owner_did, handle AS owner_handle"
                " FROM objects JOIN users ON users.did = owner_did"
                " ORDER BY objects.created_at DESC LIMIT %s",
                (_MOST,),
            ).fetchall()
        self.things = [Thing(**row) for row in rows]

    def _popular(self, chance: Random) -> Thing | None:
        """Zipf: the n-th newest is looked at 1/n as often as the newest."""
        things = self.things
        return things[int(len(things) ** chance.random()) - 1] if things else None

    def _refresh(self) -> None:
        while not self._done.wait(_REFRESH_SECONDS):
            try:
                self.look()
            except psycopg.OperationalError:
                continue  # what was seen last will do
