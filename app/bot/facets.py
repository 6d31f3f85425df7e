"""Facets of posts as they come from the network: byte ranges that may or may not fit the text."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Facet:
    """A well-formed facet: byte range, and the DID it mentions or the address it links to."""

    start: int
    end: int
    did: str | None = None
    link: str | None = None


def read_facets(raw: bytes, facets: object) -> list[Facet]:
    """The usable facets of a text, in order. Whatever does not fit the text is left out."""
    found: list[Facet] = []
    for facet in facets if isinstance(facets, list) else ():
        index = facet.get("index") if isinstance(facet, Mapping) else None
        features = facet.get("features") if isinstance(facet, Mapping) else None
        if not isinstance(index, Mapping) or not isinstance(features, list):
            continue
        start, end = index.get("byteStart"), index.get("byteEnd")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(raw):
            continue
        if _splits_character(raw, start) or _splits_character(raw, end):
            continue
        for feature in features:
            kind = feature.get("$type") if isinstance(feature, Mapping) else None
            did, link = (feature.get("did"), feature.get("uri")) if kind else (None, None)
            if kind == "app.bsky.richtext.facet#mention" and _is_did(did):
                found.append(Facet(start, end, did=did))
            elif kind == "app.bsky.richtext.facet#link" and isinstance(link, str):
                found.append(Facet(start, end, link=link))
    return sorted(found, key=lambda facet: facet.start)


def _splits_character(raw: bytes, at: int) -> bool:
    return at < len(raw) and raw[at] & 0b1100_0000 == 0b1000_0000


def _is_did(value: object) -> bool:
    return isinstance(value, str) and value.startswith("did:") and len(value) <= 2_048
