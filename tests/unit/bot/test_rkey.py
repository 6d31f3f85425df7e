"""Decides the record keys of replies: valid, deterministic, in the order of the mentions."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.bot.rkey import decode_tid, encode_tid, reply_rkey

TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
microseconds = st.integers(0, 2**53 - 1)
past = st.integers(1_600_000_000_000_000, int(NOW.timestamp() * 1_000_000))


def uri(tid: str) -> str:
    return f"at://did:plc:alice/app.bsky.feed.post/{tid}"


@given(microseconds, st.integers(0, 1023))
def test_a_tid_carries_its_time(time: int, clock: int) -> None:
    tid = encode_tid(time, clock)
    assert TID.fullmatch(tid)
    assert decode_tid(tid) == time


@given(microseconds, microseconds, st.integers(0, 1023))
def test_tids_sort_as_their_times(one: int, other: int, clock: int) -> None:
    if one != other:
        assert (one < other) == (encode_tid(one, clock) < encode_tid(other, clock))


@given(past, st.integers(0, 1023))
def test_the_reply_has_the_time_of_the_mentions_own_key(time: int, clock: int) -> None:
    rkey = reply_rkey(uri(encode_tid(time, clock)), NOW)
    assert TID.fullmatch(rkey)
    assert decode_tid(rkey) == time
    assert rkey == reply_rkey(uri(encode_tid(time, clock)), NOW + timedelta(days=1))


@given(st.text())
def test_any_other_key_gives_the_time_of_indexing(key: str) -> None:
    rkey = reply_rkey(uri(f"self-{key}"), NOW)
    assert TID.fullmatch(rkey)
    assert decode_tid(rkey) == int(NOW.timestamp() * 1_000_000)


def test_a_key_from_the_future_gives_the_time_of_indexing() -> None:
    later = int((NOW + timedelta(days=400)).timestamp() * 1_000_000)
    rkey = reply_rkey(uri(encode_tid(later, 1)), NOW)
    assert decode_tid(rkey) == int(NOW.timestamp() * 1_000_000)


def test_keys_that_collide_can_be_told_apart_by_the_next_candidate() -> None:
    mention = uri(encode_tid(1_700_000_000_000_000, 7))
    candidates = [reply_rkey(mention, NOW, bump) for bump in range(8)]
    assert len(set(candidates)) == 8


def test_two_mentions_of_one_moment_get_different_keys() -> None:
    tid = encode_tid(1_700_000_000_000_000, 7)
    others = {
        reply_rkey(f"at://did:plc:{name}/app.bsky.feed.post/{tid}", NOW)
        for name in ("alice", "bob", "carol", "dan")
    }
    assert len(others) == 4
