"""Decides: what is stored comes back as it was, whatever it contains; lists are bounded and paged;
users follow their handles; inbox and outbox take each thing once."""

from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.db import Database
from app.models import Mention, ReplyState
from app.repository import Before, mentions, objects, replies, users
from tests.integration.core.conftest import NOON, World

pytestmark = pytest.mark.integration

URI = "at://did:plc:ann/app.bsky.feed.post/3k"
NASTY = (
    "'; DROP TABLE users; --",
    '<script>alert("1")</script> &amp; %s %(x)s :name {0} \\',
    "\u202eright to left\u202c \U0001f469\u200d\U0001f467 e\u0301 \u0000 end",
    "half \ud83d pair",
)


def mention(text: str = "claim", uri: str = URI) -> Mention:
    return Mention(
        uri=uri,
        cid="bafy",
        author_did="did:plc:ann",
        author_handle="ann.test",
        text=text,
        facets=[{"index": {"byteStart": 0, "byteEnd": 4}}],
        reply_root={"uri": URI, "cid": "root"},
        reply_parent=None,
        source="notifications",
        indexed_at=NOON,
        received_at=NOON,
        deleted_at=None,
    )


def storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def test_a_mention_is_stored_once_and_comes_back_whole(database: Database) -> None:
    with database.transaction() as tx:
        assert mentions.add(tx.conn, mention())
        assert not mentions.add(tx.conn, mention("another text"))
        assert mentions.get(tx.conn, URI) == mention()


def test_a_deleted_mention_is_marked_once(database: Database) -> None:
    with database.transaction() as tx:
        mentions.add(tx.conn, mention())
        assert mentions.mark_deleted(tx.conn, URI)
        assert not mentions.mark_deleted(tx.conn, URI)
        assert not mentions.mark_deleted(tx.conn, URI + "unknown")
        stored = mentions.get(tx.conn, URI)
    assert stored is not None
    assert stored.deleted_at is not None


@pytest.mark.parametrize("text", NASTY)
def test_sql_html_and_odd_characters_are_only_text(
    database: Database, world: World, text: str
) -> None:
    ann = world.person("ann")
    thing = world.object_of(ann)
    with database.transaction() as tx:
        conn = tx.conn
        shown = users.ensure(conn, ann.did, "ann.test", text)
        assert shown.display_name == storable(text)
        assert users.get(conn, text) is None
        assert users.by_handle(conn, text) is None
        assert users.ensure(conn, ann.did, text).handle == users.INVALID_HANDLE
        assert mentions.add(conn, replace(mention(text), author_handle=text))
        stored = mentions.get(conn, URI)
        assert stored is not None
        assert (stored.text, stored.author_handle) == (storable(text), storable(text))
        assert objects.matching(conn, ann.did, text) == []
        assert objects.resembling(conn, ann.did, text) == []
        record = {"text": storable(text)}
        assert replies.add(conn, URI, "etcetera.test", "3k", record, thing.id)
        assert replies.withhold(conn, URI, text)
        reply = replies.get(conn, URI)
        assert reply is not None
        assert (reply.record, reply.reason) == (record, storable(text))
        assert users.get(conn, ann.did) is not None


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=st.text(max_size=400))
def test_any_text_can_be_looked_for(database: Database, query: str) -> None:
    with database.read() as conn:
        assert objects.matching(conn, "did:plc:nobody", query) == []
        assert objects.resembling(conn, "did:plc:nobody", query) == []
        assert not objects.exists_named(conn, query)
        users.by_handle(conn, query)
        users.get(conn, query)


def test_huge_text_is_cut(database: Database) -> None:
    with database.transaction() as tx:
        mentions.add(tx.conn, mention("x" * 1_000_000))
        stored = mentions.get(tx.conn, URI)
        user = users.ensure(tx.conn, "did:plc:ann", "ann.test", "y" * 1_000_000)
    assert stored is not None
    assert len(stored.text) == mentions.TEXT_LENGTH
    assert user.display_name == "y" * users.DISPLAY_NAME_LENGTH


def test_a_handle_that_moves_is_found_at_its_new_owner(database: Database) -> None:
    with database.transaction() as tx:
        users.ensure(tx.conn, "did:plc:old", "Moving.test")
    with database.transaction() as tx:
        users.ensure(tx.conn, "did:plc:new", "moving.test")
        found = users.by_handle(tx.conn, "@MOVING.test")
    assert found is not None
    assert found.did == "did:plc:new"


def test_a_user_keeps_the_name_when_a_mention_brings_none(database: Database) -> None:
    with database.transaction() as tx:
        users.ensure(tx.conn, "did:plc:ann", "ann.test", "Ann")
        again = users.ensure(tx.conn, "did:plc:ann", "ann.test")
    assert again.display_name == "Ann"


@pytest.mark.parametrize("did", ["", "ann.test", "did:plc:", "did:plc:a b", "did:plc:a\n", "did:x"])
def test_what_is_no_did_is_refused(database: Database, did: str) -> None:
    with pytest.raises(ValueError, match="not a DID"), database.transaction() as tx:
        users.ensure(tx.conn, did, "ann.test")


def test_pages_of_a_collection_meet_without_gap_or_overlap(
    database: Database, world: World
) -> None:
    ann = world.person("ann")
    for day in range(7):
        world.object_of(ann, days_ago=day)
    with database.read() as conn:
        everything = objects.by_owner(conn, ann.did)
        paged, before = [], None
        while page := objects.by_owner(conn, ann.did, 3, before):
            paged += page
            before = Before(page[-1].created_at, page[-1].id)
        assert objects.count_by_owner(conn, ann.did) == len(everything) == 7
        assert len(objects.by_owner(conn, ann.did, 0)) == 1
    assert paged == everything


def test_a_reply_is_stored_once_and_sent_once(database: Database) -> None:
    posted = "at://did:plc:bot/app.bsky.feed.post/3r"
    with database.transaction() as tx:
        conn = tx.conn
        mentions.add(conn, mention())
        assert replies.add(conn, URI, "etcetera.test", "3r", {"text": "hello"})
        assert not replies.add(conn, URI, "etcetera.test", "3s", {"text": "other"})
        assert replies.by_uri(conn, posted) is None
        assert replies.mark_sent(conn, URI, posted, "bafyr")
        assert not replies.mark_sent(conn, URI, posted, "bafyr")
        assert not replies.withhold(conn, URI, "too late")
        found = replies.by_uri(conn, posted)
    assert found is not None
    assert (found.state, found.cid, found.record) == (ReplyState.SENT, "bafyr", {"text": "hello"})


def test_what_does_not_exist_is_none(database: Database) -> None:
    with database.read() as conn:
        assert objects.get(conn, uuid4()) is None
        assert replies.get(conn, URI) is None
    with pytest.raises(LookupError), database.transaction() as tx:
        objects.lock(tx.conn, uuid4())
