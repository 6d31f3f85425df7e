"""Text of a post with its facets, kept within what Bluesky accepts."""

from dataclasses import dataclass
from typing import Any

import regex
from atproto import client_utils, models
from atproto_client.models.utils import get_model_as_dict

MOST_GRAPHEMES = 300
MOST_BYTES = 3_000
_GRAPHEME = regex.compile(r"\X")
_UNSAFE = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u202A-\u202E\u2066-\u2069]+")
# First strong isolate: a right-to-left name must not turn the sentence around it.
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_RTL = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")


def graphemes(text: str) -> int:
    """How many characters a reader sees, which is what Bluesky counts."""
    return len(_GRAPHEME.findall(text))


def shorten(text: str, most: int, most_bytes: int | None = None) -> str:
    """The text in one line and at most `most` graphemes, ending in … where something was cut.

    `most_bytes` (default 8 per grapheme) guards against letters under hundreds of accents.
    """
    budget = most_bytes if most_bytes is not None else most * 8
    # A letter has a byte at least, so more than this many letters are cut in any case.
    line = " ".join(_UNSAFE.sub(" ", text[: 2 * budget]).split()) or "…"
    if graphemes(line) <= most and _size(line) <= budget:
        return line
    kept: list[str] = []
    size = _size("…")
    for grapheme in _GRAPHEME.findall(line)[: max(most - 1, 0)]:
        size += _size(grapheme)
        if size > budget:
            break
        kept.append(grapheme)
    return "".join(kept).rstrip(" ,;:-") + "…"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


@dataclass(frozen=True)
class Text:
    """Plain words."""

    text: str


@dataclass(frozen=True)
class Name(Text):
    """Words somebody else chose: they give way first when a post gets too long."""


@dataclass(frozen=True)
class Link(Text):
    """Words that lead to an address; chosen by somebody else where `elastic`."""

    url: str
    elastic: bool = True


@dataclass(frozen=True)
class Mention(Text):
    """An account's handle, linked to its DID so that the person is notified."""

    did: str


Part = str | Text
# Longest first: a post takes the first length of names with which it fits.
_LENGTHS = (80, 48, 30, 18, 10, 5)
_HANDLE_LENGTHS = (80, 64, 48, 32, 20, 12)
_READABLE, _READABLE_HANDLE = 30, 48


def compose(*parts: Part) -> tuple[str, list[dict[str, Any]]]:
    """The text and the facets of a post; names are shortened as far as the limits demand."""
    built = _build(parts, _LENGTHS[0], _HANDLE_LENGTHS[0])
    for length, handle_length in zip(_LENGTHS, _HANDLE_LENGTHS, strict=True):
        built = _build(parts, length, handle_length)
        if _fits(built.build_text()):
            break
    return _within(built)


def fits(*parts: Part) -> bool:
    """Whether a post holds the parts with names of a length that people can still read."""
    return _fits(_build(parts, _READABLE, _READABLE_HANDLE).build_text())


def _build(parts: tuple[Part, ...], length: int, handle_length: int) -> client_utils.TextBuilder:
    builder = client_utils.TextBuilder()
    for part in parts:
        match part:
            case Mention(text, did):
                builder.mention(shorten(text, handle_length), did)
            case Link(text, url, elastic):
                builder.link(_isolated(shorten(text, length)) if elastic else text, url)
            case Name(text):
                builder.text(_isolated(shorten(text, length)))
            case Text(text) | str(text):
                builder.text(text)
    return builder


def _isolated(text: str) -> str:
    return f"{_ISOLATE}{text}{_END_ISOLATE}" if _RTL.search(text) else text


def _fits(text: str) -> bool:
    return graphemes(text) <= MOST_GRAPHEMES and _size(text) <= MOST_BYTES


def _within(builder: client_utils.TextBuilder) -> tuple[str, list[dict[str, Any]]]:
    """The last resort: cuts the end off, with the facets that reach into it."""
    text = builder.build_text()
    facets = [_plain(facet) for facet in builder.build_facets()]
    if _fits(text):
        return text, facets
    kept = ""
    for grapheme in _GRAPHEME.findall(text)[: MOST_GRAPHEMES - 1]:
        if _size(kept) + _size(grapheme) + _size("…") > MOST_BYTES:
            break
        kept += grapheme
    return kept + "…", [f for f in facets if f["index"]["byteEnd"] <= _size(kept)]


def _plain(facet: models.AppBskyRichtextFacet.Main) -> dict[str, Any]:
    return dict(get_model_as_dict(facet))
