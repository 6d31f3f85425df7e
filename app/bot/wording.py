"""What the bot says. Every outcome has words: short, friendly, the same for the same mention."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.bot.commands import Gift as GiftCommand
from app.bot.commands import Person, Topic, format_command
from app.bot.richtext import Link, Mention, Name, Part, compose
from app.ids import short
from app.models import Gift, Object, Rarity, User

SYMBOLS = {
    Rarity.COMMON: "●",
    Rarity.UNCOMMON: "▲",
    Rarity.RARE: "◆",
    Rarity.EPIC: "✦",
    Rarity.LEGENDARY: "★",
}
_SHOWN = 3
BRIEF = "has an answer"
_MANUAL = "/how-it-works"
_READ = "can read how it works"


@dataclass(frozen=True)
class Answer:
    """A reply in words: its text and facets, whose picture it shows, which offer it is about.

    `brief` is what a digest says instead, after the person's name and before that of the object
    shown. Where none is shown it leads to the page `more` of the site, or the person's own.
    """

    text: str
    facets: list[dict[str, Any]]
    object_id: UUID | None = None
    gift_id: UUID | None = None
    brief: str = BRIEF
    more: str = ""


class Voice:
    """Words for one mention: `seed` (its URI) picks among variants, so a retry says the same.

    `by_courier`: another account than `bot_handle` is going to say them.
    """

    def __init__(
        self, public_url: str, bot_handle: str, seed: str, *, by_courier: bool = False
    ) -> None:
        self._url = public_url.rstrip("/")
        self._bot = bot_handle
        self._by_courier = by_courier
        self._turn = hashlib.sha256(seed.encode("utf-8", "replace")).digest()[-1]

    # Claims

    def claimed(self, thing: Object) -> Answer:
        opening = self._pick("You found the ", "It's yours: the ", "Today brings you the ")
        closing = self._pick(
            "Come back tomorrow for another.",
            "The next one is waiting tomorrow.",
            "See you tomorrow for the next.",
        )
        return self._say(
            opening,
            self._link(thing),
            f", {rarity(thing)}. {closing}",
            shows=thing,
            brief="found",
        )

    def already_claimed(self, thing: Object, next_at: datetime, now: datetime) -> Answer:
        return self._say(
            self._pick("You have had today's object: the ", "Today you already claimed the "),
            self._link(thing),
            f". Your next claim opens in {duration(next_at - now)} (00:00 UTC).",
            brief="has had today's object",
        )

    # Gifts

    def offered(self, gift: Gift, thing: Object) -> Answer:
        return self._say(
            Mention(f"@{gift.recipient_handle}", gift.recipient_did),
            ", ",
            Mention(f"@{gift.giver_handle}", gift.giver_did),
            self._pick(" would like to give you the ", " has a gift for you: the "),
            self._link(thing),
            f", {rarity(thing)}. Reply “accept” or “decline” here, by {day(gift.expires_at)}.",
            shows=thing,
            about=gift,
            brief="offers",
        )

    def already_offered(self, gift: Gift) -> Answer:
        return self._say(
            "The ",
            Name(gift.object_name),
            " is already on offer to ",
            Name(f"@{gift.recipient_handle}"),
            f". If nobody accepts by {day(gift.expires_at)}, you can offer it again.",
            brief="has made that offer before",
        )

    def accepted(self, gift: Gift, thing: Object) -> Answer:
        return self._say(
            self._pick("Done! ", "A fine exchange! ", "And so it is! "),
            "The ",
            self._link(thing),
            f", {rarity(thing)}, now belongs to ",
            Name(f"@{gift.recipient_handle}"),
            ". With kind regards from ",
            Mention(f"@{gift.giver_handle}", gift.giver_did),
            ".",
            shows=thing,
            brief="now has",
        )

    def declined(self, gift: Gift) -> Answer:
        return self._say(
            "All right, the ",
            Name(gift.object_name),
            " stays with ",
            Name(f"@{gift.giver_handle}"),
            ".",
            brief="has declined a gift",
        )

    def nothing_pending(self) -> Answer:
        return self._say(
            "There is no gift waiting for you right now. ",
            "To find an object of your own, mention me with “claim”.",
            brief="has no gift waiting",
        )

    def several_pending(self, gifts: Sequence[Gift]) -> Answer:
        return self._say(
            "Several gifts are waiting for you: ",
            *_listed([Name(gift.object_name) for gift in gifts]),
            ". Reply to the post with the one you mean.",
            brief="has several gifts waiting",
        )

    def gift_expired(self, gift: Gift) -> Answer:
        return self._say(
            "The offer of the ",
            Name(gift.object_name),
            " has run out. ",
            Name(f"@{gift.giver_handle}"),
            " can offer it to you again.",
            brief="was too late for a gift",
        )

    def not_owner(self, query: str) -> Answer:
        return self._say(
            "The ",
            Name(query),
            " is not yours to give. See what is on ",
            Link("your shelf", self._url, elastic=False),
            " or ask me for “inventory”.",
            brief="does not own that object",
        )

    def no_such_object(self, query: str, suggestions: Sequence[Object]) -> Answer:
        if not suggestions:
            return self._say(
                "I could not find “",
                Name(query),
                "” among your objects. ",
                "Ask me for “inventory” to see them.",
                brief="has no such object",
            )
        return self._say(
            "I could not find “",
            Name(query),
            "” among your objects. Did you mean ",
            *_listed([Name(thing.name) for thing in suggestions], last=" or "),
            "?",
            brief="has no such object",
        )

    def ambiguous(self, query: str, matches: Sequence[Object], person: Person) -> Answer:
        parts: list[Part] = []
        for thing in matches[:_SHOWN]:
            parts += [", " if parts else "", self._link(thing), f" ({short(thing.id)})"]
        command = format_command(GiftCommand(person, short(matches[0].id))) if matches else ""
        return self._say(
            "You have more than one “",
            Name(query),
            "”: ",
            *parts,
            ". Name it by the digits, as in “",
            Name(command),
            "”.",
            brief="has several of that name",
        )

    def to_self(self) -> Answer:
        return self._say(
            self._pick(
                "A gift to yourself? It is already yours.",
                "That one is yours already, so there is nothing to wrap.",
            ),
            brief="has that object already",
        )

    def to_bot(self) -> Answer:
        return self._say(
            "How kind! But I only keep things moving; please give it to a person.",
            brief="can give only to people",
        )

    def nobody(self, handle: str) -> Answer:
        return self._say(
            "I found nobody called ",
            Name(f"@{handle}"),
            " on Bluesky. Please check the handle and write it in full, like @name.bsky.social.",
            brief="named nobody I could find",
        )

    def recipient_unavailable(self, handle: str) -> Answer:
        return self._say(
            Name(f"@{handle}"),
            " does not take part, so your object stays with you.",
            brief="named somebody who takes no part",
        )

    def gift_incomplete(self, command: GiftCommand) -> Answer:
        missing = "Whom is it for?" if command.recipient is None else "Which of your objects?"
        return self._say(
            missing,
            " Write for example: ",
            f"“@{self._bot} gift @name.bsky.social Brass Teapot”.",
            brief="can read how to give",
            more=_MANUAL,
        )

    # The rest

    def inventory(self, user: User, things: Sequence[Object], total: int) -> Answer:
        if not things:
            return self._say(
                "Your shelf is still empty. Mention me with “claim” and it will not be for long.",
                brief="has an empty shelf",
            )
        shelf = f"{self._url}/users/{user.did}"
        parts: list[Part] = []
        for thing in things[:_SHOWN]:
            parts += [", " if parts else "", self._link(thing), f" {SYMBOLS[thing.rarity]}"]
        more = total - min(len(things), _SHOWN)
        return self._say(
            f"You have {total} object{'s' if total != 1 else ''}: ",
            *parts,
            f" and {more} more" if more > 0 else "",
            ". See ",
            Link("your shelf", shelf, elastic=False),
            ".",
            brief=f"has {total} object{'s' if total != 1 else ''}",
        )

    def help(self, topic: Topic | None) -> Answer:
        words = _HELP.get(topic) if topic else None
        if words:
            return self._say(
                words.format(bot=self._bot), " ", self._how(), brief=_READ, more=_MANUAL
            )
        return self._say(
            "Mention me with:\n"
            "• claim: one object a day\n"
            "• gift @name object: offer one to somebody\n"
            "• accept or decline: answer an offer\n"
            "• inventory: what you own\n"
            "• stop: I will leave you alone\n",
            *self._on_behalf(),
            self._how(),
            brief=_READ,
            more=_MANUAL,
        )

    def unknown(self, word: str) -> Answer:
        return self._say(
            self._pick("I do not know “", "Sorry, I cannot do “"),
            Name(word),
            "” yet. Try claim, gift, accept, inventory or help. ",
            self._how(),
            brief=_READ,
            more=_MANUAL,
        )

    def stopped(self) -> Answer:
        return self._say(
            "Understood, this is the last you hear from me. ",
            "Your objects stay yours; mention me with “start” if you change your mind.",
        )

    def started(self) -> Answer:
        return self._say(
            "Welcome back! Mention me with “claim” for today's object.", brief="is welcome back"
        )

    def already_started(self) -> Answer:
        return self._say(
            "I am here already. Mention me with “claim” for today's object.", brief="takes part"
        )

    def slow_down(self, after: timedelta) -> Answer:
        return self._say(
            "That was a lot at once! I am all ears again in ",
            duration(max(after, timedelta(minutes=1))),
            ".",
            brief="was too fast for me",
        )

    # Parts

    def _say(
        self,
        *parts: Part,
        shows: Object | None = None,
        about: Gift | None = None,
        brief: str = BRIEF,
        more: str = "",
    ) -> Answer:
        text, facets = compose(*parts)
        return Answer(
            text,
            facets,
            object_id=shows.id if shows else None,
            gift_id=about.id if about else None,
            brief=brief,
            more=more,
        )

    def _on_behalf(self) -> list[Part]:
        return ["I answer for ", Name(f"@{self._bot}"), ".\n"] if self._by_courier else []

    def _pick(self, *variants: str) -> str:
        return variants[self._turn % len(variants)]

    def _link(self, thing: Object) -> Link:
        return Link(thing.name, f"{self._url}/objects/{thing.id}")

    def _how(self) -> Link:
        return Link("How it works", f"{self._url}{_MANUAL}", elastic=False)


_HELP = {
    Topic.CLAIM: "“@{bot} claim” gives you one object each day; a new day begins at 00:00 UTC.",
    Topic.GIFT: "“@{bot} gift @name.bsky.social Brass Teapot” offers your object to somebody. "
    "It changes hands when they accept.",
    Topic.ACCEPT: "Reply “accept” under the post with your gift, and it is yours.",
    Topic.DECLINE: "Reply “decline” under the post with a gift, and it stays where it is.",
    Topic.INVENTORY: "“@{bot} inventory” shows your newest objects.",
    Topic.STOP: "“@{bot} stop” and I never write to you again. Your objects stay yours.",
    Topic.START: "“@{bot} start” undoes “stop”.",
}


def rarity(thing: Object) -> str:
    """A rarity as a word and a symbol, so that neither colour nor font carries it alone."""
    return f"{thing.rarity} {SYMBOLS[thing.rarity]}"


def duration(span: timedelta) -> str:
    """A waiting time as people say it, rounded up: "3 h 20 min", "12 min", "1 min"."""
    minutes = max(1, -int(-span.total_seconds() // 60))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def day(moment: datetime) -> str:
    """A date without its year: "4 March"."""
    return f"{moment.day} {moment:%B}"


def _listed(parts: Sequence[Part], last: str = " and ") -> list[Part]:
    """The first few parts with commas between them."""
    shown = list(parts[:_SHOWN])
    joined: list[Part] = []
    for number, part in enumerate(shown):
        if number:
            joined.append(last if number == len(shown) - 1 else ", ")
        joined.append(part)
    return joined
