"""Mentions through the real local network while processes of the stack are killed at random.

A stack of its own (phase 1, Bluesky's limits lifted) gets N mentions by many people. Meanwhile
workers, the reader of mentions and Redis are killed with SIGKILL every moment, and some mentions
are delivered a second time. Afterwards everything acknowledged is counted on both sides: each
mention stored once, each person one claim a day, each reply once in the bot's own repository.

Run by `scripts/chaos`, and in a short form by tests/e2e.
"""

import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from app.bot import inbox
from app.db import Transaction
from app.models import Mention
from infra.local import operations
from tests.stacks import running

# Twice this, as at the turn of two rounds, is what the bot answers a person in a minute.
MENTIONS_EACH = 5
ROUND_SECONDS = 60
MOST_PEOPLE = 200  # signing up is the dearest thing that a PDS does
TEXT = "claim"

Say = Callable[[str], None]


@dataclass
class Report:
    """What was counted. `broken` names every promise that was not kept; empty means all were."""

    mentions: int
    people: int
    delivered_twice: int
    seconds: float
    kills: Counter[str]
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {n}x" for name, n in sorted(self.kills.items()))
        head = (
            f"{self.mentions} mentions by {self.people} people, {self.delivered_twice} of them "
            f"delivered twice, in {self.seconds:.0f} s\nkilled: {kills}\n"
        )
        return head + ("\n".join(f"BROKEN: {line}" for line in self.broken) or "all promises kept")


class Crowd:
    """People with accounts of their own who post mentions in batches."""

    def __init__(self, pds: str, bot_handle: str) -> None:
        self._http = httpx.Client(base_url=f"{pds}/xrpc", timeout=60)
        self.bot_handle = bot_handle
        self.bot_did = str(
            self._get("com.atproto.identity.resolveHandle", handle=bot_handle)["did"]
        )

    def join(self, number: int) -> tuple[str, str]:
        """Signs up person `number`; gives DID and access token."""
        account = self._call(
            "com.atproto.server.createAccount",
            {
                "handle": f"person-{number}.test",
                "email": f"person-{number}@example.com",
                "password": f"password-{number}",
            },
        )
        return account["did"], account["accessJwt"]

    def post(self, person: tuple[str, str], mentions: int) -> list[tuple[str, str]]:
        """The person mentions the bot so many times; gives URIs and CIDs."""
        did, token = person
        result = self._call(
            "com.atproto.repo.applyWrites",
            {
                "repo": did,
                "writes": [
                    {
                        "$type": "com.atproto.repo.applyWrites#create",
                        "collection": "app.bsky.feed.post",
                        "value": self._mention(),
                    }
                    for _ in range(mentions)
                ],
            },
            token,
        )
        return [(written["uri"], written["cid"]) for written in result["results"]]

    def bots_posts(self) -> list[dict[str, Any]]:
        """All posts in the bot's repository."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self._get(
                "com.atproto.repo.listRecords",
                repo=self.bot_did,
                collection="app.bsky.feed.post",
                limit="100",
                **({"cursor": cursor} if cursor else {}),
            )
            found += page["records"]
            cursor = page.get("cursor")
            if not cursor or not page["records"]:
                return found

    def _mention(self) -> dict[str, Any]:
        text = f"@{self.bot_handle} {TEXT}"
        return {
            "$type": "app.bsky.feed.post",
            "text": text,
            "createdAt": datetime.now(UTC).isoformat(),
            "facets": self.facets(),
        }

    def facets(self) -> list[dict[str, Any]]:
        return [
            {
                "index": {"byteStart": 0, "byteEnd": len(self.bot_handle) + 1},
                "features": [{"$type": "app.bsky.richtext.facet#mention", "did": self.bot_did}],
            }
        ]

    def _get(self, method: str, **params: str) -> dict[str, Any]:
        return self._answer(self._http.get(method, params=params))

    def _call(self, method: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._answer(self._http.post(method, json=body, headers=headers))

    @staticmethod
    def _answer(response: httpx.Response) -> dict[str, Any]:
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


class Killer(threading.Thread):
    """SIGKILLs one process of the stack after the other, at random, until stopped or `most`."""

    def __init__(self, root: Path, chance: random.Random, pause: float, most: float) -> None:
        super().__init__(name="killer", daemon=True)
        self.kills: Counter[str] = Counter()
        self._root = root
        self._chance = chance
        self._pause = pause
        self._most = most
        self._done = threading.Event()

    def run(self) -> None:
        targets = [
            entry.name
            for entry in operations.entries(self._root)
            if entry.name.startswith("worker-") or entry.name in ("ingest", "redis")
        ]
        while self.kills.total() < self._most:
            if self._done.wait(self._pause * self._chance.uniform(0.5, 1.5)):
                return
            name = self._chance.choice(targets)
            state = operations.read("local:index:Process", name, self._root)
            pid = int((state or {}).get("pid") or 0)
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills[name] += 1

    def stop(self) -> None:
        self._done.set()
        self.join()


def run(
    mentions: int,
    seed: int,
    say: Say,
    port_base: int = 23700,
    pause: float = 3.0,
    patience: float = 3600.0,
    kills: float = inf,
) -> Report:
    """The whole trial. `pause`: mean seconds between kills, of which there are `kills` at most;
    `patience`: seconds to wait at most."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="etcetera-chaos-") as folder:
        root = Path(folder) / "stack"
        say("bringing the stack up")
        with running(root, port_base, phase="1", blueskyLimits="off", workers="3") as outputs:
            crowd = Crowd(outputs["endpoints"]["bluesky_url"], outputs["bot_handle"])
            say("people sign up")
            count = min(MOST_PEOPLE, -(-mentions // MENTIONS_EACH))
            people = [crowd.join(number) for number in range(1, count + 1)]
            killer = Killer(root, chance, pause, kills)
            begin = time.monotonic()
            killer.start()
            posted: dict[str, str] = {}
            twice = 0
            with psycopg.connect(outputs["database_url"], row_factory=dict_row) as connection:
                for person in _turns(people, mentions):
                    batch = crowd.post(person, min(MENTIONS_EACH, mentions - len(posted)))
                    posted |= dict(batch)
                    again = [ref for ref in batch if chance.random() < 0.1]
                    twice += len(again)
                    _deliver_again(connection, crowd, again)
                    say(f"posted {len(posted)} of {mentions}; killed {killer.kills.total()}")
                _drain(connection, mentions, killer, say, begin + patience)
                killer.stop()
                report = Report(len(posted), count, twice, time.monotonic() - begin, killer.kills)
                say("counting")
                report.broken = _audit(connection, crowd, posted)
    return report


def _turns(people: list[tuple[str, str]], mentions: int) -> Iterator[tuple[str, str]]:
    """Whose turn it is to post: everybody once a round, a round a minute."""
    left = -(-mentions // MENTIONS_EACH)
    while left > 0:
        began = time.monotonic()
        yield from people[:left]
        left -= len(people)
        if left > 0:
            time.sleep(max(0.0, began + ROUND_SECONDS - time.monotonic()))


def _deliver_again(
    connection: psycopg.Connection[dict[str, Any]], crowd: Crowd, refs: list[tuple[str, str]]
) -> None:
    """Stores mentions as a second source would, before or after the first one does."""
    now = datetime.now(UTC)
    arrived = [
        Mention(
            uri=uri,
            cid=cid,
            author_did=uri.split("/")[2],
            author_handle="handle.invalid",
            text=f"@{crowd.bot_handle} {TEXT}",
            facets=crowd.facets(),
            reply_root=None,
            reply_parent=None,
            source="firehose",
            indexed_at=now,
            received_at=now,
            deleted_at=None,
        )
        for uri, cid in refs
    ]
    with connection.transaction():
        inbox.store(
            Transaction(connection), arrived, inbox.Bot(crowd.bot_did, crowd.bot_handle), now
        )


def _drain(
    connection: psycopg.Connection[dict[str, Any]],
    mentions: int,
    killer: Killer,
    say: Say,
    deadline: float,
) -> None:
    while time.monotonic() < deadline:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM mentions) AS stored,"
            " (SELECT count(*) FROM jobs WHERE state IN ('waiting', 'leased')) AS open,"
            " (SELECT count(*) FROM replies WHERE state = 'sent') AS sent"
        ).fetchone()
        connection.rollback()
        assert row is not None
        say(
            f"stored {row['stored']} of {mentions}, jobs open {row['open']}, "
            f"replies sent {row['sent']}; killed {killer.kills.total()}"
        )
        if row["stored"] >= mentions and row["open"] == 0:
            return
        time.sleep(1)


def _audit(
    connection: psycopg.Connection[dict[str, Any]], crowd: Crowd, posted: dict[str, str]
) -> list[str]:
    """Every promise that was not kept, in words."""
    broken = []

    def number(query: str) -> int:
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(next(iter(row.values())))

    def expect(what: str, found: int, wanted: int) -> None:
        if found != wanted:
            broken.append(f"{what}: {found} instead of {wanted}")

    stored = {row["uri"] for row in connection.execute("SELECT uri FROM mentions")}
    expect("mentions lost", len(set(posted) - stored), 0)
    expect("jobs not done", number("SELECT count(*) FROM jobs WHERE state <> 'done'"), 0)
    expect("replies not sent", number("SELECT count(*) FROM replies WHERE state <> 'sent'"), 0)
    expect("replies recorded", number("SELECT count(*) FROM replies"), len(posted))
    # Over midnight a person rightly claims twice.
    days = number("SELECT count(DISTINCT day) FROM claims")
    authors = len({uri.split("/")[2] for uri in posted})
    claims = number("SELECT count(*) FROM claims")
    if not authors <= claims <= authors * days:
        broken.append(f"claims: {claims} by {authors} people on {days} days")
    expect("objects", number("SELECT count(*) FROM objects"), claims)
    expect("transactions", number("SELECT count(*) FROM transactions"), claims)
    answered = Counter(
        record["value"].get("reply", {}).get("parent", {}).get("uri")
        for record in crowd.bots_posts()
    )
    expect("mentions answered on Bluesky", len(set(posted) & set(answered)), len(posted))
    expect("replies doubled on Bluesky", sum(n - 1 for n in answered.values()), 0)
    return broken


def main() -> int:
    """The command line of `scripts/chaos`."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Kill processes of a stack at random while mentions arrive, then count.",
        epilog="Examples:  scripts/chaos --mentions 500  |  scripts/chaos --seed 7 --json",
    )
    parser.add_argument("--mentions", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--seed", type=int, default=1, help="what is killed when; default: 1")
    parser.add_argument("--pause", type=float, default=3.0, help="mean seconds between kills")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args()

    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:
        report = run(
            arguments.mentions,
            arguments.seed,
            lambda text: status.update(text),
            pause=arguments.pause,
        )
    if arguments.json:
        print(json.dumps({**vars(report), "kills": dict(report.kills)}, indent=2))
    else:
        print(report)
    return 1 if report.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
