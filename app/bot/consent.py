"""Whether somebody may be answered, as Bluesky knows it at the moment of sending."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.bot.bluesky import Bluesky
from app.clock import utcnow
from app.errors import Retry
from app.models import Mention

# How far the AppView may lag behind the firehose, and how often to look whether it has caught up.
_APPVIEW_LAG = timedelta(minutes=10)
_LOOK_AGAIN = timedelta(seconds=5)
_MENTION = "app.bsky.richtext.facet#mention"


class TooNew(Retry):
    """The AppView knows too little of a mention to tell whether it may be answered."""

    def __init__(self, missing: str) -> None:
        super().__init__(_LOOK_AGAIN, f"the AppView does not know {missing} yet")


@dataclass(frozen=True)
class Withheld:
    """The reply must not be sent any more."""

    reason: str
    mention_deleted: bool = False


def forbidden(bluesky: Bluesky, mention: Mention) -> Withheld | None:
    """Why a mention may not be answered any more; raises TooNew while nobody can tell."""
    if mention.deleted_at is not None:
        return Withheld("mention deleted")
    author = bluesky.author(mention.uri)
    seen = author is not None
    if author is None:
        author = bluesky.profile(mention.author_did, fresh=True)
    if author is None and _may_be_too_new(mention):
        raise TooNew("the author")
    if author is None:
        return Withheld("author gone")
    if author.blocked:
        return Withheld("blocked")
    if author.is_bot:
        return Withheld("author is a bot")
    if not seen and bluesky.record(mention.uri) is None:
        if _may_be_too_new(mention):
            raise TooNew("the mention")
        return Withheld("mention deleted", mention_deleted=True)
    return None


def welcome(
    facets: Collection[Mapping[str, Any]], hushed: Collection[str], bluesky: Bluesky, author: str
) -> list[Mapping[str, Any]]:
    """The facets without those that would notify people who want to be left alone.

    `hushed` are DIDs of people who said so; `author` has asked and is answered.
    """

    def unwelcome(did: str) -> bool:
        if did == author:
            return False
        profile = bluesky.profile(did, fresh=True)
        return did in hushed or profile is None or profile.blocked

    return [facet for facet in facets if not any(map(unwelcome, mentioned(facet)))]


def mentioned(facet: Mapping[str, Any]) -> list[str]:
    """The DIDs that a facet notifies."""
    return [feature["did"] for feature in facet["features"] if feature.get("$type") == _MENTION]


def _may_be_too_new(mention: Mention) -> bool:
    """Whether the AppView may just not have read the mention yet; its notifications it has read."""
    return mention.source == "firehose" and utcnow() - mention.received_at < _APPVIEW_LAG
