"""What a post asks the bot for. Pure: text and facets in, a command out, and never an exception.

People write as they speak, so this reads "@bot please can I cliam my thing 🙏" as a claim. It stays
silent where it is only talked about: answering posts that ask for nothing is spam.
"""

# ruff: noqa: RUF001 (people type every kind of quotation mark)

import difflib
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import regex

from app.bot.facets import read_facets


@dataclass(frozen=True)
class Person:
    """Somebody a post names: by DID where the client linked the mention, else as typed."""

    handle: str | None
    did: str | None = None


@dataclass(frozen=True)
class Claim:
    """Give me today's object."""


@dataclass(frozen=True)
class Gift:
    """Offer one of my objects to somebody; what the post left out is None or empty."""

    recipient: Person | None
    object_query: str


@dataclass(frozen=True)
class Accept:
    """Take the object I was offered."""


@dataclass(frozen=True)
class Decline:
    """I do not want the object I was offered."""


@dataclass(frozen=True)
class Inventory:
    """Show me what I own."""


class Topic(StrEnum):
    """What help can be about."""

    CLAIM = "claim"
    GIFT = "gift"
    ACCEPT = "accept"
    DECLINE = "decline"
    INVENTORY = "inventory"
    STOP = "stop"
    START = "start"


@dataclass(frozen=True)
class Help:
    """Tell me what you do; about one topic, or in general."""

    topic: Topic | None = None


@dataclass(frozen=True)
class Stop:
    """Never write to me again."""


@dataclass(frozen=True)
class Start:
    """You may write to me again."""


@dataclass(frozen=True)
class Unknown:
    """Addressed to the bot, but not understood."""

    word: str


@dataclass(frozen=True)
class Nothing:
    """Asks for nothing: thanks, small talk, or a mention in passing."""


Command = Claim | Gift | Accept | Decline | Inventory | Help | Stop | Start | Unknown | Nothing

# Bluesky allows 300 graphemes; other servers may not check.
_LONGEST = 3_000
_MOST_MENTIONS = 100
# A mention becomes one private-use character, so that the rest of the reading is about plain text.
_MARK = 0xE000
_MARKS = f"{chr(_MARK)}-{chr(_MARK + _MOST_MENTIONS)}"
_PRIVATE = regex.compile(r"\p{Co}")
_INVISIBLE = regex.compile(r"\p{Cf}|\p{Variation_Selector}")
_WORD = regex.compile(rf"[{_MARKS}]|[\p{{L}}\p{{N}}\p{{M}}]+(?:['’ʼ][\p{{L}}\p{{M}}]+)*|\?")
_TYPED_HANDLE = regex.compile(r"(?<![\p{L}\p{N}@.])@([\p{L}\p{N}](?:[\p{L}\p{N}.-]*[\p{L}\p{N}])?)")
_DOMAIN = regex.compile(
    r"(?<![\p{L}\p{N}.@/-])((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9])(?![\p{L}\p{N}/-])",
    regex.IGNORECASE,
)
_QUOTED = regex.compile(
    r"(?<![\p{L}\p{N}])[\"“”„‟«»‹›「『《〈‘‚‛`']{1,2}\s*(?P<text>[^\"“”„‟«»‹›「」『』《》〈〉`]+?)\s*"
    r"[\"“”„‟«»‹›」』》〉’`']{1,2}(?![\p{L}\p{N}])"
)
_TO_MARK = regex.compile(rf"(?:^|\s)(?:to|for)\s+([{_MARKS}])", regex.IGNORECASE)
_UUID = regex.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", regex.IGNORECASE)
_EDGES = regex.compile(r"^[^\p{L}\p{N}]+|[^\p{L}\p{N})!?]+$")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMANDS: Mapping[type[Command], frozenset[str]] = {
    Claim: _words("claim claims claiming claimed reclaim daily grab"),
    Gift: _words("gift gifts gifting give giving send sending donate transfer offer present"),
    Accept: _words("accept accepts accepted accepting agree"),
    Decline: _words("decline declines declined reject refuse"),
    Inventory: _words("inventory inv collection items objects stuff list bag shelf"),
    Help: _words("help commands command info instructions manual usage guide"),
    Stop: _words("stop unsubscribe optout quit"),
    Start: _words("start subscribe optin resume unstop"),
}
_VOCABULARY: Mapping[str, type[Command]] = {
    word: command for command, words in _COMMANDS.items() for word in words
}
_SIMPLE: Mapping[type[Command], Command] = {
    Claim: Claim(),
    Accept: Accept(),
    Decline: Decline(),
    Inventory: Inventory(),
    Stop: Stop(),
    Start: Start(),
}
_TOPICS: Mapping[type[Command], Topic] = {
    Claim: Topic.CLAIM,
    Gift: Topic.GIFT,
    Accept: Topic.ACCEPT,
    Decline: Topic.DECLINE,
    Inventory: Topic.INVENTORY,
    Stop: Topic.STOP,
    Start: Topic.START,
}
# Everyday words, which mean a command only when the bot is spoken to.
_EVERYDAY = _words("give giving send sending present list items objects stuff bag info")
_YES = _words("yes yep yeah yup ok okay sure")
_NO = _words("no nope nah")
_POLITE = _words(
    """a an and also am be bot but can could dear do for get go good gonna guess hello hey hi hiya
    i i'd i'll i'm id ill im just kindly lemme let like love may me might morning evening my need
    now of oh ok okay pls please plz pretty ready show so thank thanks thx ty that the then there
    this time to today try trying us want wanna we would will yo you your"""
)
_THANKS = _words("thank thanks thx ty cheers")
_QUESTIONS = _words("how what who why when where ?")
_NEGATIONS = _words("not don't dont never can't cant won't wont didn't didnt doesn't no")
_STOP_PHRASES = (
    "opt out",
    "leave me alone",
    "go away",
    "do not reply",
    "don't reply",
    "dont reply",
    "do not contact me",
    "don't contact me",
    "dont contact me",
    "don't mention me",
    "stop replying",
)
_START_PHRASES = ("opt in", "opt back in", "come back")
_OWN_PHRASES = ("do i have", "do i own", "have i got", "my objects", "my things")
_LEADING = regex.compile(r"^(?:(?:the|my|a|an|this|that|to|for|of)\s+)+", regex.IGNORECASE)
_TRAILING = regex.compile(
    r"(?:[\s,;.!]+(?:to|for|please|pls|plz|thanks|thank\s+you|thx|ty|today|now|and))+[\s.!]*$",
    regex.IGNORECASE,
)


def parse(
    text: str,
    facets: object,
    bot_dids: Collection[str],
    is_reply: bool,
    bot_handles: Collection[str] = (),
) -> Command:
    """Reads a post.

    `facets` is the post's field as it came, trusted in nothing; `bot_dids` and `bot_handles` tell
    the bot's own mentions from other people's; `is_reply` says that the post answers one of the
    bot's posts, where "yes" and "no" mean something without the bot being named.
    """
    post = _Post(text, facets, bot_dids, {handle.lower() for handle in bot_handles})
    words = [word for word in post.words if not post.is_mention(word)]
    if not words:
        return Help() if post.bot_leads and not is_reply and not post.others else Nothing()
    spoken_to = is_reply or post.bot_leads or post.bot_trails
    sentence = " ".join(words)
    if spoken_to and (phrase := _phrase(sentence)):
        return phrase

    content = [word for word in words if word not in _POLITE]
    if words[0] in _THANKS and "for" in words:
        return Nothing()
    if not content:
        return _small_talk(words, is_reply)
    lead = content[0]
    if is_reply and len(words) <= 6:
        if lead in _NO:
            return Decline()
        if lead in _YES or (words[0] in _YES and lead not in _VOCABULARY):
            return Accept()

    kind = _VOCABULARY.get(lead)
    if kind is None and spoken_to and (post.bot_leads or len(content) <= 3):
        kind = _nearest(lead)
    if kind is not None and (spoken_to or lead not in _EVERYDAY):
        return _command(kind, content, post)
    if not spoken_to:
        return Nothing()
    if lead in _QUESTIONS:
        return _question(content, named=post.bot_leads)
    if post.bot_leads and not _THANKS.intersection(words):
        return _anywhere(content) or Unknown(lead[:40])
    return Nothing()


def format_command(command: Command) -> str:
    """How one writes a command by hand; `parse` reads it back."""
    match command:
        case Gift(recipient, query):
            who = f"@{recipient.handle}" if recipient and recipient.handle else ""
            return " ".join(part for part in ("gift", who, query) if part)
        case Help(topic):
            return f"help {topic}" if topic else "help"
        case Unknown(word):
            return word
        case Nothing():
            return "thanks"
        case _:
            return type(command).__name__.lower()


class _Post:
    """A post as clean text, in which each mention is one character."""

    def __init__(
        self, text: str, facets: object, bot_dids: Collection[str], bot_handles: Collection[str]
    ) -> None:
        self.people: list[Person] = []
        self.links: list[str] = []
        self._bot_dids = bot_dids
        self._bot_handles = bot_handles
        self.text = _TYPED_HANDLE.sub(self._typed, self._marked(text[:_LONGEST], facets))
        self.words = [
            match.group().casefold().replace("’", "'").replace("ʼ", "'")
            for match in _WORD.finditer(self.text)
        ]

    def is_mention(self, word: str) -> bool:
        return _is_mark(word[0])

    def person(self, mark: str) -> Person:
        return self.people[ord(mark) - _MARK]

    def is_bot(self, person: Person) -> bool:
        return person.did in self._bot_dids or person.handle in self._bot_handles

    @property
    def others(self) -> list[Person]:
        return [person for person in self.people if not self.is_bot(person)]

    @property
    def bot_leads(self) -> bool:
        """Whether the bot is named before anything but greetings and other mentions."""
        for word in self.words:
            if self.is_mention(word):
                if self.is_bot(self.person(word)):
                    return True
            elif word not in _POLITE:
                return False
        return False

    @property
    def bot_trails(self) -> bool:
        for word in reversed(self.words):
            if self.is_mention(word):
                return self.is_bot(self.person(word))
            if word not in _POLITE:
                return False
        return False

    def _marked(self, text: str, facets: object) -> str:
        raw = text.encode("utf-8", "replace")
        parts: list[str] = []
        end = 0
        for facet in read_facets(raw, facets):
            if facet.link is not None:
                self.links.append(facet.link)
            if facet.did is None or facet.start < end or len(self.people) >= _MOST_MENTIONS:
                continue
            shown = _clean(raw[facet.start : facet.end].decode())
            parts.append(_clean(raw[end : facet.start].decode()))
            parts.append(self._mark(Person(_handle(shown.removeprefix("@")), facet.did)))
            end = facet.end
        parts.append(_clean(raw[end:].decode()))
        return "".join(parts)

    def _mark(self, person: Person) -> str:
        self.people.append(person)
        return f" {chr(_MARK + len(self.people) - 1)} "

    def _typed(self, match: regex.Match[str]) -> str:
        if len(self.people) >= _MOST_MENTIONS:
            return str(match.group())
        return self._mark(Person(match.group(1).lower()))


def _is_mark(letter: str) -> bool:
    return _MARK <= ord(letter) < _MARK + _MOST_MENTIONS


def _handle(text: str) -> str | None:
    return text.strip().lower() if _DOMAIN.fullmatch(text.strip()) else None


def _clean(text: str) -> str:
    """Compatibility letters made plain, and nothing invisible that would split a word."""
    text = unicodedata.normalize("NFKC", _PRIVATE.sub(" ", text))
    return str(_INVISIBLE.sub("", text))


def _phrase(sentence: str) -> Command | None:
    padded = f" {sentence} "
    if any(f" {phrase} " in padded for phrase in _STOP_PHRASES):
        return Stop()
    if any(f" {phrase} " in padded for phrase in _START_PHRASES):
        return Start()
    if any(f" {phrase} " in padded for phrase in _OWN_PHRASES) and not _COMMANDS[Gift] & set(
        sentence.split()
    ):
        return Inventory()
    return None


def _small_talk(words: list[str], is_reply: bool) -> Command:
    if is_reply and words[0] in _YES and not _THANKS.intersection(words):
        return Accept()
    return Nothing()


def _nearest(word: str) -> type[Command] | None:
    """The command a word is probably a typo of; short words must begin with the same letter."""
    close = difflib.get_close_matches(word[:40], _VOCABULARY, n=1, cutoff=0.75)
    if len(word) < 4 or not close or close[0][0] != word[0] or close[0] in _EVERYDAY:
        return None
    return _VOCABULARY[close[0]]


def _command(kind: type[Command], content: list[str], post: _Post) -> Command:
    if kind is Gift:
        return _gift(post)
    if kind is Help:
        return Help(_topic(content[1:]))
    return _SIMPLE[kind]


def _topic(words: list[str]) -> Topic | None:
    kinds = (_VOCABULARY.get(word) or _nearest(word) for word in words[:4])
    return next((_TOPICS[kind] for kind in kinds if kind is not None and kind in _TOPICS), None)


def _question(content: list[str], named: bool) -> Command:
    topic = _topic(content)
    return Help(topic) if named or topic else Nothing()


def _anywhere(content: list[str]) -> Command | None:
    """Harmless commands in the middle of a sentence to the bot: "is it time to claim"."""
    if _NEGATIONS.intersection(content):
        return None
    kinds = [_VOCABULARY.get(word) for word in content[:6] if word not in _EVERYDAY]
    for kind in kinds:
        if kind in (Claim, Inventory):
            return _SIMPLE[kind]
        if kind is Help:
            return Help()
    return None


def _gift(post: _Post) -> Gift:
    """Reads "gift [the] OBJECT to @USER" and "gift @USER [the] OBJECT"."""
    rest = post.text
    for match in _WORD.finditer(post.text):
        word = match.group().casefold()
        if _VOCABULARY.get(word) is Gift or (
            word not in _POLITE and not post.is_mention(word) and _nearest(word) is Gift
        ):
            rest = post.text[match.end() :]
            break
    recipient = next((p for p in map(post.person, _marks(rest)) if not post.is_bot(p)), None)
    quoted = _QUOTED.search(rest)
    linked = next((found for link in post.links if (found := _UUID.search(link))), None)
    if recipient is None and (typed := _DOMAIN.search(rest)) and not _UUID.search(typed.group()):
        recipient = Person(typed.group().lower())
        rest = rest[: typed.start()] + " " + rest[typed.end() :]
        quoted = _QUOTED.search(rest)
    if recipient is None and post.others:
        recipient = post.others[-1]
    if recipient is None and (to := _TO_MARK.search(rest)):
        recipient = post.person(to.group(1))
    if linked:
        return Gift(recipient, linked.group().lower())
    return Gift(recipient, _name(quoted.group("text") if quoted else rest))


def _marks(text: str) -> list[str]:
    return [letter for letter in text if _is_mark(letter)]


def _name(text: str) -> str:
    """An object's name out of the words around it."""
    text = regex.sub(rf"[{_MARKS}]", " ", text)
    before = None
    text = " ".join(text.split())
    while text != before:
        before = text
        text = _LEADING.sub("", _TRAILING.sub("", _EDGES.sub("", text)))
    return text[:200].strip()
