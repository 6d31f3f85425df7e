"""Record keys of replies: a function of the mention, so that sending twice writes one record."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"  # pragma: allowlist secret
_TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
_CLOCK_BITS = 10
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A phone's clock may be this far ahead of ours before its TID is taken for made up.
_TOLERANCE = timedelta(minutes=5)


def encode_tid(microseconds: int, clock: int) -> str:
    """The TID of a time in microseconds since 1970 (53 bits) and a clock id (10 bits)."""
    if not 0 <= microseconds < 1 << 53 or not 0 <= clock < 1 << _CLOCK_BITS:
        raise ValueError(f"no TID for {microseconds} µs and clock {clock}")
    number = microseconds << _CLOCK_BITS | clock
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(60, -1, -5))


def decode_tid(tid: str) -> int | None:
    """The time of a TID in microseconds since 1970, or None where the text is not a TID."""
    if not _TID.fullmatch(tid):
        return None
    number = 0
    for letter in tid:
        number = number << 5 | _ALPHABET.index(letter)
    return number >> _CLOCK_BITS


def reply_rkey(mention_uri: str, indexed_at: datetime, bump: int = 0) -> str:
    """The record key of the reply to a mention.

    The time is that of the mention's own key, or `indexed_at` where that is no TID or lies in the
    future; the clock id comes from a hash of the URI. `bump` gives the next candidate where a key
    is already taken by the reply to another mention.
    """
    indexed = (indexed_at - _EPOCH) // _MICROSECOND
    posted = decode_tid(mention_uri.rsplit("/", 1)[-1])
    if posted is None or posted > indexed + _TOLERANCE // _MICROSECOND:
        posted = max(indexed, 0)
    digest = hashlib.sha256(mention_uri.encode("utf-8", "replace")).digest()
    clock = (int.from_bytes(digest[:2], "big") + bump) % (1 << _CLOCK_BITS)
    return encode_tid(posted, clock)
