"""Decides what the bot says: every outcome fits a post whatever the names in it, its facets point
at the right bytes, and the same mention always gets the same words."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bot.commands import Gift as GiftCommand
from app.bot.commands import Person, Topic
from app.bot.richtext import MOST_BYTES, MOST_GRAPHEMES, Name, compose, graphemes, shorten
from app.bot.wording import SYMBOLS, Answer, Voice, duration
from app.models import Category, Gift, GiftStatus, Object, Rarity, Region, User

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
URL = "https://etcetera.exchange"


def thing(name: str = "Brass Teapot", rarity: Rarity = Rarity.RARE) -> Object:
    return Object(
        id=ID,
        name=name,
        description=f"{name} that hums.",
        category=Category.TEAPOT,
        rarity=rarity,
        region=Region.ATTIC,
        seed=7,
        owner_did="did:plc:alice",
        owner_handle="alice.test",
        created_at=NOW,
    )


def gift(name: str = "Brass Teapot", giver: str = "alice.test", to: str = "bob.test") -> Gift:
    return Gift(
        id=ID,
        object_id=ID,
        object_name=name,
        giver_did="did:plc:alice",
        giver_handle=giver,
        recipient_did="did:plc:bob",
        recipient_handle=to,
        status=GiftStatus.PENDING,
        mention_uri=None,
        offered_at=NOW,
        expires_at=NOW + timedelta(days=7),
        settled_at=None,
    )


def user(handle: str) -> User:
    return User("did:plc:alice", handle, None, None, NOW, NOW)


def every_answer(voice: Voice, name: str, handle: str) -> list[Answer]:
    one, offer = thing(name), gift(name, handle, handle)
    return [
        voice.claimed(one),
        voice.already_claimed(one, NOW + timedelta(hours=3), NOW),
        voice.offered(offer, one),
        voice.already_offered(offer),
        voice.accepted(offer, one),
        voice.declined(offer),
        voice.nothing_pending(),
        voice.several_pending([offer] * 5),
        voice.gift_expired(offer),
        voice.not_owner(name),
        voice.no_such_object(name, []),
        voice.no_such_object(name, [one] * 6),
        voice.ambiguous(name, [one] * 4, Person(handle)),
        voice.to_self(),
        voice.to_bot(),
        voice.nobody(handle),
        voice.recipient_unavailable(handle),
        voice.gift_incomplete(GiftCommand(None, "")),
        voice.gift_incomplete(GiftCommand(Person(handle), "")),
        voice.inventory(user(handle), [], 0),
        voice.inventory(user(handle), [one] * 5, 1_234),
        voice.help(None),
        *(voice.help(topic) for topic in Topic),
        voice.unknown(name),
        voice.stopped(),
        voice.started(),
        voice.already_started(),
        voice.slow_down(timedelta(minutes=1)),
    ]


wild_names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(
        [
            "👩‍👩‍👧‍👦" * 100,
            "e" + "\u0301" * 3_000,
            "שלום عالم " * 40,
            "<script>alert(1)</script>" * 20,
            "'; DROP TABLE objects; --" * 20,
            "\u202egnp.exe",
            "a\nb\u2028c\0d",
            "x" * 3_000,
        ]
    ),
)


@settings(deadline=None, max_examples=60)
@given(wild_names, wild_names, st.text(max_size=5))
def test_every_answer_fits_a_post_whatever_names_contain(name: str, handle: str, seed: str) -> None:
    for answer in every_answer(Voice(URL, "etcetera.exchange", seed), name, handle):
        assert graphemes(answer.text) <= MOST_GRAPHEMES
        assert len(answer.text.encode()) <= MOST_BYTES
        ends = [0]
        for facet in answer.facets:
            start, end = facet["index"]["byteStart"], facet["index"]["byteEnd"]
            assert ends[-1] <= start < end <= len(answer.text.encode())
            answer.text.encode()[start:end].decode()
            ends.append(end)


def test_no_answer_of_usual_length_is_cut() -> None:
    voice = Voice(URL, "etcetera.exchange", "seed")
    for answer in every_answer(voice, "Moonlit Copper Weather Vane", "somebody.bsky.social"):
        assert "…" not in answer.text
        assert answer.text[-1] in ".?!" or answer.text.endswith("How it works")


def part(answer: Answer, number: int) -> str:
    index = answer.facets[number]["index"]
    return answer.text.encode()[index["byteStart"] : index["byteEnd"]].decode()


@pytest.mark.parametrize("name", ["Brass Teapot", "Théière 🫖", "إبريق"])
def test_facets_cover_just_the_name_they_link(name: str) -> None:
    answer = Voice(URL, "etc.test", "x").offered(gift(to="bob.test"), thing(name))
    assert part(answer, 0) == "@bob.test"
    assert answer.facets[0]["features"][0]["did"] == "did:plc:bob"
    assert part(answer, 2).strip("\u2068\u2069") == name
    assert answer.facets[2]["features"][0]["uri"] == f"{URL}/objects/{ID}"


def test_a_claim_names_object_and_rarity_and_shows_the_picture() -> None:
    for rarity in Rarity:
        answer = Voice(URL, "etc.test", "x").claimed(thing(rarity=rarity))
        assert f"{rarity} {SYMBOLS[rarity]}" in answer.text
        assert "Brass Teapot" in answer.text
        assert answer.object_id == ID


def test_rarities_differ_without_colour() -> None:
    assert len(set(SYMBOLS.values())) == len(Rarity)


def test_an_offer_tells_the_recipient_how_to_take_it() -> None:
    answer = Voice(URL, "etc.test", "x").offered(gift(), thing())
    assert answer.text.startswith("@bob.test")
    assert "accept" in answer.text
    assert answer.gift_id == ID


def test_words_vary_between_mentions_and_not_between_retries() -> None:
    def say(seed: str) -> str:
        return Voice(URL, "etc.test", seed).claimed(thing()).text

    assert say("a") == say("a")
    assert len({say(str(number)) for number in range(30)}) == 3


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(hours=3, minutes=20), "3 h 20 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(seconds=61), "2 min"),
        (timedelta(seconds=1), "1 min"),
        (timedelta(seconds=-9), "1 min"),
    ],
)
def test_waiting_times_read_as_people_say_them(span: timedelta, words: str) -> None:
    assert duration(span) == words


@given(st.text(), st.integers(1, 40))
def test_shortening_keeps_whole_letters_and_the_limit(text: str, most: int) -> None:
    short = shorten(text, most)
    assert graphemes(short) <= most
    assert "\n" not in short


def test_right_to_left_names_do_not_turn_the_sentence_around() -> None:
    text, _ = compose("The ", Name("إبريق"), ", rare.")
    assert text == "The \u2068إبريق\u2069, rare."


def test_a_name_is_shortened_before_the_sentence_is() -> None:
    answer = Voice(URL, "b.test", "s").claimed(thing("x" * 500))
    assert "xxx…" in answer.text
    assert "tomorrow" in answer.text
