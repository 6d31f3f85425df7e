"""Decides what digests say: each fits a post whatever the names in it, its facets point at the
right bytes, and each line tells in few words what happened and leads there."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bot.digests import Line, fitting, write
from app.bot.richtext import MOST_BYTES, MOST_GRAPHEMES, compose, graphemes
from app.bot.wording import Answer, Voice
from app.models import Mention, Object, Reply, ReplyState, User
from tests.unit.bot.test_wording import ID, NOW, URL, every_answer, thing, wild_names


def line(
    name: str = "alice",
    *,
    handle: str | None = None,
    brief: str = "found",
    more: str = "",
    shows: Object | None = None,
    others: tuple[tuple[str, str | None], ...] = (),
    offer: bool = False,
) -> Line:
    did = f"did:plc:{name}"
    uri = f"at://{did}/app.bsky.feed.post/1"
    mention = Mention(
        uri, "bafy", did, "x.test", "", [], None, None, "notifications", NOW, NOW, None
    )
    reply = Reply(
        mention_uri=uri,
        account="bot.test",
        rkey="1",
        record={},
        object_id=ID if shows else None,
        gift_id=ID if offer else None,
        state=ReplyState.PENDING,
        reason=None,
        uri=None,
        cid=None,
        created_at=NOW,
        sent_at=None,
        begun_at=None,
        short_at=None,
        digest_id=None,
    )
    author = User(did, handle or f"{name}.test", None, None, NOW, NOW)
    return Line(reply, mention, author, brief, more, shows, others)


def post(*lines: Line) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The text of a digest, and what each of its facets covers."""
    text, facets = compose(*write(lines, URL))
    raw = text.encode()
    covered = []
    for facet in facets:
        index, [feature] = facet["index"], facet["features"]
        covered.append((raw[index["byteStart"] : index["byteEnd"]].decode(), feature))
    return text, covered


def test_a_line_says_who_did_what_and_leads_there() -> None:
    text, facets = post(line(shows=thing()))
    assert text.endswith("\n@alice.test found Brass Teapot ◆")
    assert [covered for covered, _ in facets] == [
        "So many of you! In short:",
        "@alice.test",
        "Brass Teapot",
    ]
    assert facets[1][1]["did"] == "did:plc:alice"
    assert facets[2][1]["uri"] == f"{URL}/objects/{ID}"


def test_what_shows_no_object_leads_to_the_persons_page_or_the_manual() -> None:
    for more, address in (("", "/users/did:plc:alice"), ("/how-it-works", "/how-it-works")):
        _, facets = post(line(brief="has no such object", more=more))
        assert facets[2] == (
            "has no such object",
            {"$type": "app.bsky.richtext.facet#link", "uri": f"{URL}{address}"},
        )


def test_an_offer_names_both_and_tells_how_to_take_it() -> None:
    bob = (("@bob.test", "did:plc:bob"),)
    text, facets = post(line(brief="offers", shows=thing(), others=bob, offer=True))
    assert "@alice.test offers Brass Teapot ◆ to @bob.test (reply “accept”)" in text
    assert [feature.get("did") for _, feature in facets[1::2]] == ["did:plc:alice", "did:plc:bob"]


def test_who_would_rather_not_be_told_is_named_and_not_notified() -> None:
    bob = (("@bob.test", "did:plc:bob"),)
    text, facets = post(line(shows=thing(), others=bob).without({"did:plc:bob", "did:plc:alice"}))
    assert "from @bob.test" in text
    assert [feature["did"] for _, feature in facets if "did" in feature] == ["did:plc:alice"]


def test_a_post_holds_five_people_with_usual_names() -> None:
    lines = [line(f"somebody{n}.bsky", shows=thing()) for n in range(5)]
    assert fitting(lines, URL)
    text, _ = post(*lines)
    assert "…" not in text


def every_brief(name: str, handle: str) -> list[Answer]:
    return every_answer(Voice(URL, "etcetera.exchange", "seed", by_courier=True), name, handle)


def test_every_answer_has_a_brief_of_few_words() -> None:
    for answer in every_brief("Brass Teapot", "bob.test"):
        text, _ = post(line(brief=answer.brief, shows=thing() if answer.object_id else None))
        assert graphemes(answer.brief) <= 36
        assert "…" not in text


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(wild_names, wild_names, st.booleans()), min_size=1, max_size=12))
def test_every_digest_fits_a_post_whatever_names_contain(
    names: list[tuple[str, str, bool]],
) -> None:
    lines = [
        line(
            f"p{number}",
            handle=handle,
            shows=replace(thing(), name=name),
            others=((f"@{handle}", f"did:plc:other{number}"),) if offer else (),
            offer=offer,
        )
        for number, (name, handle, offer) in enumerate(names)
    ]
    chosen: list[Line] = []
    for one in lines:
        if not fitting([*chosen, one], URL):
            break
        chosen.append(one)
    assert chosen
    text, facets = compose(*write(chosen, URL))
    assert graphemes(text) <= MOST_GRAPHEMES
    assert len(text.encode()) <= MOST_BYTES
    ends = [0]
    for facet in facets:
        start, end = facet["index"]["byteStart"], facet["index"]["byteEnd"]
        assert ends[-1] <= start < end <= len(text.encode())
        text.encode()[start:end].decode()
        ends.append(end)
    if len(chosen) > 1:  # nobody in it is cut off
        mentioned = [f["features"][0].get("did") for f in facets]
        assert [one.author.did for one in chosen] == [
            did for did in mentioned if did and not did.startswith("did:plc:other")
        ]


@pytest.mark.parametrize("by_courier", [False, True])
def test_help_tells_when_a_courier_answers(by_courier: bool) -> None:
    answer = Voice(URL, "etcetera.exchange", "s", by_courier=by_courier).help(None)
    assert ("I answer for @etcetera.exchange." in answer.text) is by_courier
    assert answer.text.endswith("How it works")
