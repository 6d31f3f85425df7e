"""What the worker does for the bot: `command` jobs have the effect, `reply` jobs send the answer.

Each handler has two steps. `prepare` runs outside any transaction and may use the network; `apply`
runs in the transaction that also finishes the job, so the effect and the stored reply are one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import structlog

from app import limits
from app.bot import commands, digests, replies
from app.bot.accounts import Accounts
from app.bot.bluesky import Profile
from app.bot.wording import Answer, Voice
from app.cache import Cache
from app.clock import utcnow
from app.db import Database, Transaction
from app.domain import accounts as people
from app.domain import claims, gifts
from app.errors import Reject, Retry
from app.limits import Verdict
from app.metrics import COMMANDS, EFFECT_SECONDS
from app.models import Gift, Job, Mention, Reply, User
from app.repository import mentions, objects, users
from app.repository import replies as stored_replies
from app.settings import Settings

# How long a new account may take to appear, before we do without its profile.
_APPEARS = timedelta(minutes=2)
_IT = frozenset({"", "it", "this", "that", "this one", "that one", "one"})
_INVENTORY = 5

# The answer, where there is one, and the name of the outcome for the metrics.
_Done: TypeAlias = tuple[Answer | None, str]

log = structlog.get_logger(__name__)


class Handler(Protocol):
    """One kind of job."""

    def prepare(self, job: Job) -> Any:
        """What needs the network. Its result goes to `apply`."""

    def apply(self, tx: Transaction, job: Job, prepared: Any) -> None:
        """The effect, in the transaction that finishes the job."""


def build(settings: Settings, database: Database, cache: Cache) -> Mapping[str, Handler]:
    """The bot's handlers by kind of job. Nothing is sent or read before the first job."""
    accounts = Accounts.open(settings, database)
    return {
        "command": CommandHandler(settings, database, accounts, cache),
        replies.KIND: replies.ReplyHandler(database, accounts),
        digests.KIND: digests.DigestHandler(database, accounts, settings.public_url),
    }


@dataclass(frozen=True)
class Request:
    """A mention understood, with the people in it looked up."""

    mention: Mention
    command: commands.Command
    handle: str
    display_name: str | None = None
    recipient: Profile | None = None


@dataclass(frozen=True)
class Ignored:
    """A mention that is not to be answered."""

    reason: str


class CommandHandler:
    """Does what a mention asks for and stores the reply."""

    def __init__(
        self, settings: Settings, database: Database, accounts: Accounts, cache: Cache
    ) -> None:
        self._url = settings.public_url
        self._secret = settings.secret_key
        self._database = database
        self._accounts = accounts
        self._bluesky = accounts.main
        self._cache = cache

    # Before the transaction

    def prepare(self, job: Job) -> Request | Ignored:
        """Reads the mention and looks up whom it names. Raises Retry and Reject."""
        with self._database.read(fresh=True) as conn:
            mention = mentions.get(conn, job.key)
        if mention is None:
            raise Reject("there is no such mention")
        if mention.deleted_at is not None:
            return Ignored("deleted")
        command = self._accounts.bot.understand(mention)
        handle, name = mention.author_handle, None
        if "." not in handle or handle.startswith("did:"):  # a firehose does not tell handles
            author = self._bluesky.profile(mention.author_did)
            if author is None and utcnow() - mention.received_at < _APPEARS:
                raise Retry(timedelta(seconds=1), "the author's profile is not there yet")
            if author is not None and (author.is_bot or author.blocked):
                return Ignored("author is a bot" if author.is_bot else "blocked")
            handle, name = (author.handle, author.display_name) if author else (handle, None)
        recipient = None
        if isinstance(command, commands.Gift):
            recipient = self._recipient(mention.author_did, command)
        return Request(mention, command, handle, name, recipient)

    def _recipient(self, giver_did: str, command: commands.Gift) -> Profile | None:
        """Whom the gift is for; `blocked` also where giver and recipient block each other."""
        person = command.recipient
        if person is None:
            return None
        did = person.did or (person.handle and self._bluesky.resolve_handle(person.handle))
        profile = self._bluesky.profile(did) if did else None
        if profile and profile.did != giver_did and self._bluesky.apart(giver_did, profile.did):
            return replace(profile, blocked=True)
        return profile

    # In the transaction

    def apply(self, tx: Transaction, job: Job, prepared: Request | Ignored) -> None:
        """Effect and reply. Doing it again, for whatever reason, changes nothing."""
        if isinstance(prepared, Ignored):
            log.info("mention ignored", mention=job.key, reason=prepared.reason)
            return
        mention, command = prepared.mention, prepared.command
        if stored_replies.get(tx.conn, mention.uri) is not None:
            return
        user = self._user(tx, prepared)
        if user.opted_out and not isinstance(command, commands.Start):
            return
        verdict = limits.check(tx.conn, mention)
        if verdict is Verdict.SILENT and not isinstance(command, commands.Stop):
            return
        account = self._accounts.home(mention.author_did)
        by_courier = account != self._bluesky.handle
        voice = Voice(self._url, self._bluesky.handle, mention.uri, by_courier=by_courier)
        if verdict is Verdict.SLOW_DOWN and not isinstance(command, commands.Stop):
            answer: Answer | None = voice.slow_down(limits.WINDOW)
            result = "SlowDown"
        else:
            answer, result = self._do(tx, prepared, user, voice)
        name = type(command).__name__.lower()
        tx.on_commit(lambda: COMMANDS.labels(name=name, result=result).inc())
        tx.on_commit(
            lambda: EFFECT_SECONDS.labels(priority=job.priority.name.lower()).observe(
                replies.seconds_since(mention, job.priority)
            )
        )
        if answer is not None:
            replies.store(
                tx,
                answer,
                mention,
                account,
                job.priority,
                farewell=isinstance(command, commands.Stop),
            )

    def _user(self, tx: Transaction, request: Request) -> User:
        did = request.mention.author_did
        before = users.get(tx.conn, did)
        user = people.ensure_user(tx, did, request.handle, request.display_name)
        if user != before:
            self._cache.account_changed(tx, did=did)
        return user

    def _do(self, tx: Transaction, request: Request, user: User, voice: Voice) -> _Done:
        mention = request.mention
        match request.command:
            case commands.Claim():
                return self._claim(tx, user, mention, voice)
            case commands.Gift() as command:
                return self._gift(tx, user, request, command, voice)
            case commands.Accept():
                return self._accept(tx, user, mention, voice)
            case commands.Decline():
                return self._decline(tx, user, mention, voice)
            case commands.Inventory():
                things = objects.by_owner(tx.conn, user.did, _INVENTORY, None)
                total = objects.count_by_owner(tx.conn, user.did)
                return voice.inventory(user, things, total), "Shown"
            case commands.Help(topic):
                return voice.help(topic), "Shown"
            case commands.Stop():
                self._cache.account_changed(tx, did=user.did)  # while open offers are known
                people.opt_out(tx, user)
                return voice.stopped(), "Stopped"
            case commands.Start():
                if not user.opted_out:
                    return voice.already_started(), "AlreadyStarted"
                people.opt_in(tx, user)
                self._cache.account_changed(tx, did=user.did)
                return voice.started(), "Started"
            case commands.Unknown(word):
                return voice.unknown(word), "Unknown"
            case commands.Nothing():
                return None, "Nothing"

    def _claim(self, tx: Transaction, user: User, mention: Mention, voice: Voice) -> _Done:
        # The time Bluesky had the post, which is checked on arrival: a claim that waited while we
        # were down counts for its own day.
        now = mention.indexed_at
        outcome = claims.claim(tx, user, mention.uri, now, secret=self._secret)
        match outcome:
            case claims.Claimed(thing):
                self._cache.claimed(tx, did=user.did, object_id=thing.id)
                answer = voice.claimed(thing)
            case claims.AlreadyClaimed(thing, next_at):
                answer = voice.already_claimed(thing, next_at, utcnow())
        return answer, type(outcome).__name__

    def _gift(
        self, tx: Transaction, user: User, request: Request, command: commands.Gift, voice: Voice
    ) -> _Done:
        person, profile, query = command.recipient, request.recipient, command.object_query
        if query.lower() in _IT:
            query = self._shown(tx, request.mention) or ""
        if person is None or not query:
            return voice.gift_incomplete(replace(command, object_query=query)), "Incomplete"
        if self._is_us(person):
            return voice.to_bot(), "ToBot"
        if profile is None:
            return voice.nobody(person.handle or person.did or ""), "Nobody"
        if profile.is_bot or profile.blocked:
            return voice.recipient_unavailable(profile.handle), "RecipientUnavailable"
        outcome = gifts.offer(
            tx, user, profile.did, profile.handle, query, request.mention.uri, utcnow()
        )
        match outcome:
            case gifts.Offered(gift, thing, replaced):
                for offer in (gift, replaced):
                    if offer is not None:
                        self._offers_changed(tx, offer)
                answer = voice.offered(gift, thing)
            case gifts.NotOwner():
                answer = voice.not_owner(query)
            case gifts.NoSuchObject(_, suggestions):
                answer = voice.no_such_object(query, suggestions)
            case gifts.Ambiguous(_, matches):
                answer = voice.ambiguous(query, matches, person)
            case gifts.ToSelf():
                answer = voice.to_self()
            case gifts.RecipientUnavailable():
                answer = voice.recipient_unavailable(profile.handle)
            case gifts.AlreadyOffered(gift):
                answer = voice.already_offered(gift)
        return answer, type(outcome).__name__

    def _is_us(self, person: commands.Person) -> bool:
        bot = self._accounts.bot
        handles = {bot.handle, *bot.couriers.values()}
        return bot.is_us(person.did) or person.handle in handles

    def _accept(self, tx: Transaction, user: User, mention: Mention, voice: Voice) -> _Done:
        outcome = gifts.accept(tx, user, self._meant(tx, mention), utcnow())
        match outcome:
            case gifts.Accepted(gift, thing):
                self._cache.gifted(
                    tx, giver_did=gift.giver_did, recipient_did=user.did, object_id=thing.id
                )
                answer = voice.accepted(gift, thing)
            case gifts.NothingPending():
                answer = voice.nothing_pending()
            case gifts.Several(pending):
                answer = voice.several_pending(pending)
            case gifts.Expired(gift):
                self._offers_changed(tx, gift)
                answer = voice.gift_expired(gift)
        return answer, type(outcome).__name__

    def _decline(self, tx: Transaction, user: User, mention: Mention, voice: Voice) -> _Done:
        outcome = gifts.decline(tx, user, self._meant(tx, mention), utcnow())
        match outcome:
            case gifts.Declined(gift):
                self._offers_changed(tx, gift)
                answer = voice.declined(gift)
            case gifts.NothingPending():
                answer = voice.nothing_pending()
            case gifts.Several(pending):
                answer = voice.several_pending(pending)
            case gifts.Expired(gift):
                self._offers_changed(tx, gift)
                answer = voice.gift_expired(gift)
        return answer, type(outcome).__name__

    def _offers_changed(self, tx: Transaction, gift: Gift) -> None:
        self._cache.offered(
            tx,
            giver_did=gift.giver_did,
            recipient_did=gift.recipient_did,
            object_id=gift.object_id,
        )

    def _meant(self, tx: Transaction, mention: Mention) -> UUID | None:
        """The offer in the post that a mention answers; None where it answers something else."""
        if answered := self._answered(tx, mention):
            return answered.gift_id
        parent = mention.reply_parent
        if parent is None:
            return None
        return stored_replies.offered_in_digest(tx.conn, parent["uri"], mention.author_did)

    def _shown(self, tx: Transaction, mention: Mention) -> str | None:
        """The object in the post that a mention answers: "give it to @somebody"."""
        answered = self._answered(tx, mention)
        return str(answered.object_id) if answered and answered.object_id else None

    def _answered(self, tx: Transaction, mention: Mention) -> Reply | None:
        parent = mention.reply_parent
        return stored_replies.by_uri(tx.conn, parent["uri"]) if parent else None
