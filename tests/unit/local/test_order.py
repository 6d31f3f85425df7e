"""Decides in which order resources are taken down."""

import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.order import last_first, older
from infra.local.store import Record


def record(name: str, sequence: int, after: Sequence[str] | None = ()) -> Record:
    return Record(
        type="local:index:Process",
        name=name,
        inputs={},
        digest="",
        sequence=sequence,
        after=after,
    )


# Each may need some of those before it.
graphs = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        *(st.frozensets(st.sampled_from([f"n{i}" for i in range(n)]) if n else st.nothing())
          for n in range(size))
    )
)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(graphs)
def test_all_are_taken_down_and_none_before_what_may_need_it(
    graph: tuple[frozenset[str], ...],
) -> None:
    needs = {f"n{i}": needed for i, needed in enumerate(graph)}
    begun: list[str] = []
    ended: set[str] = set()

    def act(name: str) -> None:
        assert all(user in ended for user, needed in needs.items() if name in needed)
        begun.append(name)
        time.sleep(0)
        ended.add(name)

    last_first(needs, act)
    assert sorted(begun) == sorted(needs)


def test_what_does_not_need_each_other_goes_at_once() -> None:
    meeting = threading.Barrier(3, timeout=60)

    def act(_: str) -> None:
        meeting.wait()

    last_first({"a": [], "b": [], "c": []}, act)


def test_after_an_error_no_other_is_begun() -> None:
    begun = []

    def act(name: str) -> None:
        begun.append(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="edge"):
        last_first({"database": [], "web": ["database"], "edge": ["web"]}, act)
    assert begun == ["edge"]


def test_only_what_was_there_before_may_be_needed() -> None:
    records = [record("a", 1), record("b", 2), record("c", 3, ["a"]), record("d", 4, None)]
    assert older(records) == {"a": set(), "b": set(), "c": {"a"}, "d": {"a", "b", "c"}}


def test_a_name_that_went_to_something_younger_is_not_needed() -> None:
    assert older([record("user", 2, ["a"]), record("a", 5, ["user"])]) == {
        "user": set(),
        "a": {"user"},
    }
