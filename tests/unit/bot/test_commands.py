"""Decides what a post asks for: pure reading of text and facets. What the answer has as effect is
for the integration tests of the handlers."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot import commands
from app.bot.commands import (
    Accept,
    Claim,
    Command,
    Decline,
    Gift,
    Help,
    Inventory,
    Nothing,
    Person,
    Start,
    Stop,
    Topic,
    Unknown,
    format_command,
    parse,
)

BOT, BOB = "did:plc:bot", "did:plc:bob"
HANDLES = {"@etc.test": BOT, "@bob.test": BOB, "@☕️.بوب.test": BOB}


def linked(text: str) -> list[dict[str, object]]:
    """Facets for the handles above, as clients make them."""
    raw = text.encode()
    facets: list[dict[str, object]] = []
    for handle, did in HANDLES.items():
        at = raw.find(handle.encode())
        while at >= 0:
            facets.append(
                {
                    "index": {"byteStart": at, "byteEnd": at + len(handle.encode())},
                    "features": [{"$type": "app.bsky.richtext.facet#mention", "did": did}],
                }
            )
            at = raw.find(handle.encode(), at + 1)
    return facets


def read(text: str, *, is_reply: bool = False) -> Command:
    return parse(text, linked(text), {BOT}, is_reply)


@pytest.mark.parametrize(
    "text",
    [
        "@etc.test claim",
        "@etc.test CLAIM!!!",
        "claim @etc.test",
        "@etc.test please can I claim my thing today 🙏",
        "hey @etc.test, claim please",
        "@etc.test cliam",
        "@etc.test clam",
        "@etc.test \uff43\uff4c\uff41\uff49\uff4d",
        "@etc.test cl\u200baim",
        "\u202b@etc.test claim\u202c",
        "@etc.test is it time to claim?",
        "@etc.test\nclaim",
        "🎁🎁 @etc.test 🎁 claim 🎁",
        "@bob.test @etc.test claim",
        "I'd like to claim, @etc.test, thanks",
        "@etc.test thanks! claim",
    ],
)
def test_a_claim_is_understood_however_it_is_typed(text: str) -> None:
    assert read(text) == Claim()


@pytest.mark.parametrize(
    ("text", "recipient", "query"),
    [
        ("@etc.test gift @bob.test Brass Teapot", Person("bob.test", BOB), "Brass Teapot"),
        ("@etc.test gift the Brass Teapot to @bob.test", Person("bob.test", BOB), "Brass Teapot"),
        ("gift @bob.test “Brass Teapot” @etc.test", Person("bob.test", BOB), "Brass Teapot"),
        ("@etc.test gift @bob.test «Théière» merci", Person("bob.test", BOB), "Théière"),
        ("@etc.test gift „Kanne“ to @bob.test", Person("bob.test", BOB), "Kanne"),
        ("@etc.test gift 「茶釜」 @bob.test", Person("bob.test", BOB), "茶釜"),
        ("@etc.test gift @bob.test إبريق الشاي", Person("bob.test", BOB), "إبريق الشاي"),
        ("@etc.test gfit @bob.test teapot", Person("bob.test", BOB), "teapot"),
        ("@etc.test please give my old hat to bob.test", Person("bob.test"), "old hat"),
        ("@etc.test send Lamp to @BOB.test please!", Person("bob.test"), "Lamp"),
        ("@etc.test gift @☕️.بوب.test Lamp", Person(None, BOB), "Lamp"),
        ("@etc.test gift Bob's Teapot to @bob.test", Person("bob.test", BOB), "Bob's Teapot"),
        ("@etc.test gift Bell No. 5 to @bob.test", Person("bob.test", BOB), "Bell No. 5"),
        ("@etc.test gift @bob.test", Person("bob.test", BOB), ""),
        ("@etc.test gift", None, ""),
        ("@etc.test gift Lamp to @etc.test", Person("etc.test", BOT), "Lamp"),
        (
            "@etc.test gift @bob.test '; DROP TABLE users; --",
            Person("bob.test", BOB),
            "DROP TABLE users",
        ),
    ],
)
def test_a_gift_is_understood_in_any_order_and_with_any_quotes(
    text: str, recipient: Person | None, query: str
) -> None:
    assert read(text) == Gift(recipient, query)


def test_a_link_to_an_objects_page_names_the_object() -> None:
    page = "https://etcetera.exchange/objects/01890a5d-ac96-774b-bcce-b302099a8057"
    text = "@etc.test gift @bob.test etcetera.exchange/obj..."
    link = {
        "index": {"byteStart": text.index("etcetera"), "byteEnd": len(text)},
        "features": [{"$type": "app.bsky.richtext.facet#link", "uri": page}],
    }
    command = parse(text, [*linked(text), link], {BOT}, is_reply=False)
    assert command == Gift(Person("bob.test", BOB), "01890a5d-ac96-774b-bcce-b302099a8057")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("@etc.test accept", Accept()),
        ("@etc.test accpet", Accept()),
        ("@etc.test decline please", Decline()),
        ("@etc.test inventory", Inventory()),
        ("@etc.test inventroy", Inventory()),
        ("@etc.test show me my collection", Inventory()),
        ("@etc.test what do I have?", Inventory()),
        ("@etc.test help", Help()),
        ("@etc.test hlep", Help()),
        ("@etc.test ?", Help()),
        ("@etc.test", Help()),
        ("@etc.test what is this", Help()),
        ("@etc.test help gift", Help(Topic.GIFT)),
        ("@etc.test how do I claim?", Help(Topic.CLAIM)),
        ("@etc.test stop", Stop()),
        ("@etc.test please stop replying to me", Stop()),
        ("@etc.test opt out", Stop()),
        ("@etc.test leave me alone!", Stop()),
        ("@etc.test start", Start()),
        ("@etc.test opt in", Start()),
        ("@etc.test abracadabra", Unknown("abracadabra")),
    ],
)
def test_the_other_commands_are_understood(text: str, command: Command) -> None:
    assert read(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "@etc.test thanks!",
        "@etc.test thank you for the gift",
        "@etc.test hi",
        "I love what @etc.test does with claims",
        "have you seen @etc.test? it is fun",
        "we could give @etc.test a hug",
        "found by my cat, cc @etc.test",
        "",
        "@bob.test claim is a good word, he said about @etc.test's game",
    ],
)
def test_a_post_that_asks_for_nothing_gets_no_answer(text: str) -> None:
    if text.startswith("@bob.test claim"):
        # "claim" right at the start cannot be told from a command; the answer is harmless.
        assert read(text) == Claim()
    else:
        assert read(text) == Nothing()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("accept", Accept()),
        ("Accept!! 😍", Accept()),
        ("yes please", Accept()),
        ("ok", Accept()),
        ("no thanks", Decline()),
        ("nope", Decline()),
        ("how do I gift this?", Help(Topic.GIFT)),
        ("claim", Claim()),
        ("give it to @bob.test", Gift(Person("bob.test", BOB), "it")),
        ("lol nice", Nothing()),
        ("thank you so much", Nothing()),
        ("what a lovely thing", Nothing()),
        ("👍", Nothing()),
        ("no way!!! that is amazing, I can't believe it", Nothing()),
    ],
)
def test_a_reply_to_the_bot_needs_no_mention_and_may_be_small_talk(
    text: str, command: Command
) -> None:
    assert read(text, is_reply=True) == command


def test_the_bot_is_found_by_did_and_not_by_what_the_text_says() -> None:
    text = "@my favourite bot claim"
    facet = {
        "index": {"byteStart": 0, "byteEnd": len("@my favourite bot")},
        "features": [{"$type": "app.bsky.richtext.facet#mention", "did": BOT}],
    }
    assert parse(text, [facet], {BOT}, is_reply=False) == Claim()


@pytest.mark.parametrize(
    "facets",
    [
        None,
        "facets",
        [None, 7, "x", {}, {"index": {}}, {"features": []}],
        [{"index": {"byteStart": -1, "byteEnd": 3}, "features": []}],
        [{"index": {"byteStart": 1.5, "byteEnd": True}, "features": [{}]}],
        [{"index": {"byteStart": 5, "byteEnd": 10**20}, "features": [{"did": BOT}]}],
        [
            {
                "index": {"byteStart": 1, "byteEnd": 2},
                "features": [{"$type": "app.bsky.richtext.facet#mention", "did": 5}],
            }
        ],
    ],
)
def test_malformed_facets_are_ignored(facets: object) -> None:
    assert parse("claim", facets, {BOT}, is_reply=True) == Claim()


def test_a_facet_that_splits_a_letter_is_ignored() -> None:
    feature = {"$type": "app.bsky.richtext.facet#mention", "did": BOT}
    facet = {"index": {"byteStart": 1, "byteEnd": 3}, "features": [feature]}
    assert parse("éé claim", [facet], {BOT}, is_reply=False) == Nothing()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
wild_facets = st.lists(
    st.fixed_dictionaries(
        {
            "index": st.fixed_dictionaries(
                {"byteStart": st.integers(-2, 60), "byteEnd": st.integers(-2, 60)}
            )
            | json_values,
            "features": st.lists(
                st.fixed_dictionaries(
                    {
                        "$type": st.sampled_from(
                            [
                                "app.bsky.richtext.facet#mention",
                                "app.bsky.richtext.facet#link",
                                "x",
                            ]
                        ),
                        "did": st.sampled_from([BOT, BOB, "", 3, None]),
                        "uri": st.text(max_size=5),
                    }
                )
            )
            | json_values,
        }
    )
)
vocabulary = st.sampled_from(
    ["claim", "gift", "@bob.test", "@etc.test", "to", "“", "”", "'", '"', "no", "yes", "help", "🙏"]
)


@given(
    st.text(alphabet=st.characters(exclude_categories=()))
    | st.lists(vocabulary | st.text(max_size=4), max_size=12).map(" ".join),
    wild_facets | json_values,
    st.booleans(),
)
def test_no_post_raises(text: str, facets: object, is_reply: bool) -> None:
    assert isinstance(parse(text, facets, {BOT}, is_reply), Command)


@given(
    st.integers(1, 2_000), st.sampled_from(["claim ", "@", "a.", "“", "gift ", "'x' ", "\u0301"])
)
def test_a_huge_post_is_read_quickly(times: int, piece: str) -> None:
    parse("gift " + piece * times, [], {BOT}, is_reply=True)


handles = st.from_regex(r"[a-z][a-z0-9]{1,9}\.(test|social|example)", fullmatch=True)
reserved = set(commands._POLITE) | {"to", "for", "thank", "you", "this", "that"}
words = st.text(string.ascii_letters, min_size=2, max_size=9).filter(
    lambda word: word.lower() not in reserved
)
commands_by_hand = st.one_of(
    st.sampled_from([Claim(), Accept(), Decline(), Inventory(), Stop(), Start(), Help()]),
    st.sampled_from(Topic).map(Help),
    st.builds(
        Gift,
        st.builds(Person, handles),
        st.lists(words, min_size=1, max_size=4).map(" ".join),
    ),
)


@given(commands_by_hand)
def test_a_command_written_by_hand_is_read_back(command: Command) -> None:
    text = f"@etc.test {format_command(command)}"
    assert parse(text, linked(text), {BOT}, is_reply=False) == command
