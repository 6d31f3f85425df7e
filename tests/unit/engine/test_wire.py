"""Values survive the way between program and monitor, and what is secret stays marked."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.engine import wire

keys = st.text(st.characters(categories=("L", "Nd")), min_size=1, max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**50), 2**50), st.text(max_size=20))
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=10,
)


@given(st.dictionaries(keys, values, max_size=4))
def test_values_come_back_as_they_went(properties: dict[str, Any]) -> None:
    assert wire.unpack(wire.pack(properties)) == wire.Properties(properties, frozenset())


@given(st.dictionaries(keys, values, min_size=1, max_size=4))
def test_a_secret_comes_back_opened_and_marked(properties: dict[str, Any]) -> None:
    secret = next(iter(properties))
    unpacked = wire.unpack(wire.pack(properties, secret=[secret]))
    assert unpacked.values == properties
    assert unpacked.secrets == {secret}


def test_a_secret_within_a_value_comes_back_where_it_was() -> None:
    properties = {"env": {"A": "open", "B": ["x", {"c": "hidden"}]}}
    unpacked = wire.unpack(wire.pack(properties, secret=["env.B[1].c"]))
    assert unpacked == wire.Properties(properties, frozenset({"env.B[1].c"}))


def test_every_text_inside_a_secret_is_known_for_redaction() -> None:
    properties = wire.Properties(
        {"environment": {"A": "open", "B": "hidden"}, "files": {"x": ["deep"]}},
        frozenset({"environment.B", "files"}),
    )
    assert sorted(properties.secret_texts()) == ["deep", "hidden"]
