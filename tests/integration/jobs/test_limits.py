"""Decides that the limit on one person's commands counts the right mentions in real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.db import Database
from app.limits import Verdict, check
from app.models import Mention

pytestmark = pytest.mark.integration

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def mention(
    database: Database, n: int, seconds: float, *, did: str = "did:plc:ada", late: float = 1
) -> Mention:
    """Stores a mention made at `seconds`, that arrived `late` seconds after that."""
    made = START + timedelta(seconds=seconds)
    got = made + timedelta(seconds=late)
    uri = f"at://{did}/app.bsky.feed.post/{n:04}"
    with database.transaction() as tx:
        tx.conn.execute(
            "INSERT INTO mentions"
            " (uri, cid, author_did, author_handle, text, source, indexed_at, received_at)"
            " VALUES (%s, 'cid', %s, 'ada.test', 'claim', 'load', %s, %s)",
            (uri, did, made, got),
        )
    return Mention(uri, "cid", did, "ada.test", "claim", [], None, None, "load", made, got, None)


def verdict(database: Database, one: Mention) -> Verdict:
    with database.read() as conn:
        return check(conn, one)


def test_ten_a_minute_then_one_warning_then_silence(database: Database) -> None:
    mentions = [mention(database, n, n) for n in range(13)]
    assert [verdict(database, one) for one in mentions] == [
        *[Verdict.ALLOWED] * 10,
        Verdict.SLOW_DOWN,
        *[Verdict.SILENT] * 2,
    ]


def test_a_job_that_is_tried_again_gets_the_same_verdict(database: Database) -> None:
    mentions = [mention(database, n, n) for n in range(13)]
    assert verdict(database, mentions[3]) is Verdict.ALLOWED
    assert verdict(database, mentions[10]) is Verdict.SLOW_DOWN
    assert verdict(database, mentions[10]) is Verdict.SLOW_DOWN


def test_others_are_not_counted(database: Database) -> None:
    for n in range(20):
        mention(database, n, n, did="did:plc:flood")
    assert verdict(database, mention(database, 99, 20)) is Verdict.ALLOWED


def test_a_backlog_read_in_one_go_is_no_flood(database: Database) -> None:
    hours = [mention(database, n, n * 3600, late=(30 - n) * 3600) for n in range(30)]
    assert {verdict(database, one) for one in hours} == {Verdict.ALLOWED}
