"""What the bot asks of Bluesky. Answers are plain JSON: one odd record must not spoil a whole page.

Every call has a timeout and raises only `Retry` (rate limits, outages), `Reject` (the server says
that this request can never succeed) or `BrokenError` (the server fails at it).
"""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import httpx
import structlog
from atproto import Client, models
from atproto.exceptions import (
    AtProtocolError,
    BadRequestError,
    NetworkError,
    RateLimitExceededError,
    UnauthorizedError,
)
from atproto_client.exceptions import RequestErrorBase
from atproto_client.request import Response

from app.bot.courtesy import Courtesy
from app.bot.sessions import RefusedError, SessionKeeper
from app.bot.silence import OUTAGE, Silence
from app.clock import utcnow
from app.db import Database
from app.errors import EtceteraError, Reject, Retry
from app.metrics import RATE_LIMITED
from app.settings import BotAccount, Settings

T = TypeVar("T")
POST = "app.bsky.feed.post"
_BAD_LOGIN = timedelta(minutes=2)
_UNKNOWN_RESET = timedelta(minutes=1)
_TOO_LARGE, _BROKEN = 413, 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Profile:
    """An account as the bot sees it; `blocked` in either direction."""

    did: str
    handle: str
    display_name: str | None
    is_bot: bool
    blocked: bool


@dataclass(frozen=True)
class Ref:
    """A record's address and the hash of its content."""

    uri: str
    cid: str


class Bluesky:
    """An account of the bot on its PDS, and through it the network. Thread-safe.

    Without `account` it is the one that people mention.
    """

    def __init__(
        self, settings: Settings, database: Database, account: BotAccount | None = None
    ) -> None:
        settings.require("bluesky_handle", "bluesky_password")
        self._keeper = SessionKeeper(settings, database, account or settings.bot_accounts[0])
        self._handles: Timed[str | None] = Timed()
        self._profiles: Timed[Profile | None] = Timed()
        self._silence = Silence()
        self.courtesy = Courtesy()

    @property
    def handle(self) -> str:
        return self._keeper.handle

    @property
    def did(self) -> str:
        """The account's own DID; only the very first use logs in."""
        return _translated(lambda: self._keeper.did, self.handle)

    # Reading

    def resolve_handle(self, handle: str) -> str | None:
        """The DID behind a handle, or None where there is nobody. Remembered for some minutes."""
        handle = handle.lower()
        if not _looks_like_domain(handle):
            return None
        known, did = self._handles.get(handle)
        if not known:
            params = models.ComAtprotoIdentityResolveHandle.Params(handle=handle)
            did = self._looked_up("com.atproto.identity.resolveHandle", params).get("did")
            self._handles.set(handle, did, seconds=300 if did else 20)
        return did

    def profile(self, actor: str, *, fresh: bool = False) -> Profile | None:
        """An account's profile, or None where it is gone. Remembered for a minute unless fresh."""
        find = self._found if fresh else self._looked_up
        known, profile = self._profiles.get(actor)
        if fresh or not known:
            params = models.AppBskyActorGetProfile.Params(actor=actor)
            profile = _profile(find("app.bsky.actor.getProfile", params))
            self._profiles.set(actor, profile, seconds=60)
        return profile

    def apart(self, one: str, other: str) -> bool:
        """Whether one of two accounts blocks the other."""
        return bool(self._apart(one, [other]))

    def barred(self, dids: Collection[str]) -> set[str]:
        """Those of some people (30 at most) who block this account, or whom it blocks."""
        return self._apart(self.did, dids)

    def _apart(self, one: str, others: Collection[str]) -> set[str]:
        params = models.AppBskyGraphGetRelationships.Params(actor=one, others=list(others))
        answer = self._looked_up("app.bsky.graph.getRelationships", params)
        blocks = ("blocking", "blockedBy", "blockingByList", "blockedByList")
        return {
            view["did"]
            for view in answer.get("relationships") or ()
            if any(view.get(block) for block in blocks)
        }

    def author(self, uri: str) -> Profile | None:
        """The author of a post that is there now; None where it is gone or hidden from the bot."""
        params = models.AppBskyFeedGetPosts.Params(uris=[uri])
        posts = self._found("app.bsky.feed.getPosts", params).get("posts")
        return _profile(posts[0]["author"]) if posts else None

    def record(self, uri: str) -> dict[str, Any] | None:
        """A record by its at:// URI as `{uri, cid, value}`, or None where it is gone."""
        repo, collection, rkey = uri.removeprefix("at://").split("/", 2)
        params = models.ComAtprotoRepoGetRecord.Params(repo=repo, collection=collection, rkey=rkey)
        return self._found("com.atproto.repo.getRecord", params) or None

    def notifications(self, cursor: str | None, limit: int = 100) -> dict[str, Any]:
        """A page of mentions and replies, newest first, with the cursor of the next page."""
        params = models.AppBskyNotificationListNotifications.Params(
            limit=limit, cursor=cursor, reasons=["mention", "reply"], priority=False
        )
        return self._query("app.bsky.notification.listNotifications", params)

    # Writing

    def update_seen(self, seen_at: datetime) -> None:
        self._procedure("app.bsky.notification.updateSeen", {"seenAt": stamp(seen_at)})

    def upload_png(self, picture: bytes) -> dict[str, Any]:
        """Uploads a picture; returns the blob to put into a record."""
        answer = self._call(
            lambda client: client.invoke_procedure(
                "com.atproto.repo.uploadBlob",
                content=picture,
                headers={"Content-Type": "image/png"},
            )
        )
        blob: dict[str, Any] = _json(answer)["blob"]
        return blob

    def put_post(
        self, rkey: str, record: Mapping[str, Any], learn: Callable[[Mapping[str, str]], None]
    ) -> Ref:
        """Writes a post under a key; writing the same one again changes nothing.

        Never overwrites another post: raises BrokenError when the key has one. `learn` is given
        the headers in which the server says how much may still be written.
        """
        body = {
            "repo": self.did,
            "collection": POST,
            "rkey": rkey,
            "record": record,
            "swapRecord": None,  # "there is none yet"
        }
        try:
            answer = self._procedure("com.atproto.repo.putRecord", body)
        except Limited as limited:
            learn(limited.headers)
            raise
        learn(answer.headers)
        written = _json(answer)
        return Ref(written["uri"], written["cid"])

    # Calling

    def _looked_up(self, method: str, params: Any) -> dict[str, Any]:
        """As `_found`, for jobs with an effect: raises Retry at once while Bluesky is silent."""
        self._silence.check()
        return self._found(method, params)

    def _found(self, method: str, params: Any) -> dict[str, Any]:
        """The answer; empty where the server knows nothing of it."""
        try:
            return self._query(method, params)
        except Reject:
            return {}

    def _query(self, method: str, params: Any) -> dict[str, Any]:
        return _json(self._call(lambda client: client.invoke_query(method, params=params)))

    def _procedure(self, method: str, body: Mapping[str, Any]) -> Response:
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._call(
            lambda client: client.invoke_procedure(method, content=content, headers=headers)
        )

    def _call(self, request: Callable[[Client], Response]) -> Response:
        def attempt() -> Response:
            client = self._keeper.client()
            try:
                return request(client)
            except (UnauthorizedError, BadRequestError) as error:
                if not _session_refused(error):
                    raise
                return request(self._keeper.refused(client))

        try:
            answer = _translated(attempt, self.handle)
        except SilentError:
            self._silence.begin()
            raise
        except Limited as limited:
            self.courtesy.learn(limited.headers)
            raise
        self._silence.end()
        self.courtesy.learn(answer.headers)
        return answer


def place(
    bluesky: Bluesky, keys: Iterable[str], ours: Callable[[Mapping[str, Any]], bool]
) -> tuple[str, Ref | None]:
    """The key to write a post to, and the post itself where it is there already.

    `keys` are the post's own, in their order; `ours` recognizes it. Raises Reject when other posts
    have all of them.
    """
    for rkey in dict.fromkeys(keys):
        found = bluesky.record(f"at://{bluesky.did}/{POST}/{rkey}")
        if found is None:
            return rkey, None
        if ours(found.get("value") or {}):
            return rkey, Ref(found["uri"], found["cid"])
    raise Reject("every key for this post is taken by another one")


class BrokenError(EtceteraError):
    """The server fails at a request, now or always: tried again, but not for ever."""


class SilentError(Retry):
    """The server cannot be reached or takes too long."""

    def __init__(self, error: Exception) -> None:
        super().__init__(OUTAGE, f"Bluesky does not answer: {error!r}")


class Limited(Retry):
    """The server answered 429; its headers say when it will take more."""

    def __init__(self, after: timedelta, headers: Mapping[str, str]) -> None:
        self.headers = headers
        super().__init__(after, "Bluesky's rate limit")


class Timed(Generic[T]):
    """A small thread-safe memory whose entries end by themselves."""

    _MOST = 5_000

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> tuple[bool, T | None]:
        """Whether the key is known, and its value."""
        with self._lock:
            until, value = self._entries.get(key, (0.0, None))
        return (True, value) if time.monotonic() < until else (False, None)

    def set(self, key: str, value: T, seconds: float) -> None:
        with self._lock:
            if len(self._entries) >= self._MOST:
                self._entries.clear()
            self._entries[key] = (time.monotonic() + seconds, value)


def stamp(moment: datetime) -> str:
    """A time as atproto writes it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_bot(labels: object) -> bool:
    """Whether labels, as profiles carry them, say that the account is automated."""
    if not isinstance(labels, list):
        return False
    return any(
        isinstance(label, Mapping) and label.get("val") == "bot" and not label.get("neg")
        for label in labels
    )


def _profile(view: Mapping[str, Any]) -> Profile | None:
    if not view:
        return None
    viewer = view.get("viewer") or {}
    blocked = bool(
        viewer.get("blockedBy") or viewer.get("blocking") or viewer.get("blockingByList")
    )
    return Profile(
        view["did"],
        view["handle"],
        view.get("displayName") or None,
        is_bot(view.get("labels")),
        blocked,
    )


def _looks_like_domain(handle: str) -> bool:
    labels = handle.split(".")
    return (
        len(handle) <= 253
        and len(labels) > 1
        and all(label and label.isascii() and label.replace("-", "").isalnum() for label in labels)
    )


def _json(response: Response) -> dict[str, Any]:
    if isinstance(response.content, dict):
        return response.content
    if not response.content:
        return {}
    raise Retry(OUTAGE, "Bluesky answered with something that is not JSON")


def _session_refused(error: RequestErrorBase) -> bool:
    return _name(error) in {
        "ExpiredToken",
        "InvalidToken",
        "AuthMissing",
        "AuthenticationRequired",
    }


def _name(error: RequestErrorBase) -> str:
    return getattr(getattr(error.response, "content", None), "error", "")


def _translated(call: Callable[[], T], account: str) -> T:
    """Runs a call; what the SDK raises becomes Retry or Reject."""
    try:
        return call()
    except RateLimitExceededError as error:
        RATE_LIMITED.labels(account=account).inc()
        headers = error.response.headers if error.response else {}
        raise Limited(_until_reset(error), headers) from error
    except UnauthorizedError as error:
        log.error("Bluesky refuses the account", account=account, error=str(error))
        raise RefusedError(_BAD_LOGIN, f"Bluesky refuses the account: {error}") from error
    except BadRequestError as error:
        if _name(error) == "InvalidSwap":
            raise BrokenError("another record has this key") from error
        raise Reject(f"Bluesky refuses the request: {error}") from error
    except NetworkError as error:
        if error.response is not None and error.response.status_code == _TOO_LARGE:
            raise Reject(f"Bluesky refuses the request: {error}") from error
        raise SilentError(error) from error
    except httpx.HTTPError as error:
        raise SilentError(error) from error
    except RequestErrorBase as error:
        if error.response is not None and error.response.status_code < 500:
            raise Reject(f"Bluesky refuses the request: {error}") from error
        if error.response is not None and error.response.status_code == _BROKEN:
            raise BrokenError(f"Bluesky fails at the request: {error}") from error
        raise Retry(OUTAGE, f"Bluesky has an error: {error}") from error
    except AtProtocolError as error:
        raise Retry(OUTAGE, f"Bluesky's session cannot be used: {error!r}") from error


def _until_reset(error: RateLimitExceededError) -> timedelta:
    reset_at: datetime | None = error.reset_at
    if reset_at is not None:
        return max(reset_at - utcnow(), timedelta(seconds=1))
    if error.retry_after is not None:
        return timedelta(seconds=max(error.retry_after, 1))
    return _UNKNOWN_RESET
