"""What people type: names in addresses and words to search for."""

from __future__ import annotations

import re

from werkzeug.exceptions import NotFound

from app.repository.users import INVALID_HANDLE, valid_did, valid_handle
from app.web.context import reads

# Controls, also NUL, which PostgreSQL refuses; halves of surrogates; U+FFFD, which stands for bytes
# that were not UTF-8.
_NOISE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd\\s]+")


def did_of_name(name: str) -> str:
    """The DID meant by a DID or a handle, with or without @. Raises NotFound."""
    if valid_did(name):
        return name
    handle = name.removeprefix("@").lower()
    if not valid_handle(handle) or handle == INVALID_HANDLE:
        raise NotFound("Nobody here goes by that name.")
    return reads().did_of(handle)


def search_words(text: str) -> str:
    """The text without what cannot be searched for. May be empty."""
    return _NOISE.sub(" ", text).strip()
