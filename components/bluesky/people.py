"""People on a Bluesky network: what a person does in the app, for trying a stack out and for tests.

Only for local networks. Each person writes from an address of their own, so that one machine with
many people is not taken for one address with many requests and slowed down by the PDS.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from atproto import AtUri, Client, Request, models
from atproto.exceptions import BadRequestError, NetworkError, UnauthorizedError
from atproto_client.utils.facet_detection import detect_mentions

T = TypeVar("T")

HTTP_SECONDS = 30.0
SETTLE_SECONDS = 60.0  # how long the AppView may lag behind the PDS on a busy machine
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Ref:
    """A version of a post."""

    uri: str
    cid: str


@dataclass(frozen=True)
class Post(Ref):
    """A post as the AppView shows it. `links` are the targets in its text, `images` in its embed.

    `hidden` is why there is nothing to show (deleted, or one of the two blocks the other): such a
    post has an empty text.
    """

    author_did: str = ""
    author_handle: str = ""
    text: str = ""
    links: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    replies: tuple[Post, ...] = ()
    hidden: str | None = None


@dataclass(frozen=True)
class Notification:
    """`reason` is that of Bluesky: mention, reply, like, follow and so on."""

    reason: str
    uri: str
    author_did: str
    text: str


class Person:
    """An account and its session. Errors of the network are those of the atproto SDK."""

    def __init__(self, url: str, handle: str) -> None:
        self.url = url
        self.handle = handle
        self.client = Client(url, request=Request(timeout=HTTP_SECONDS))
        self.client.request.add_additional_header("X-Forwarded-For", _address_of(handle))

    @classmethod
    def sign_up(cls, url: str, handle: str, password: str) -> Self:
        """A new account, usable at once. BadRequestError when the handle is taken."""
        person = cls(url, handle)
        email = f"{handle.replace('.', '-')}@example.com"
        person.client.com.atproto.server.create_account(
            models.ComAtprotoServerCreateAccount.Data(handle=handle, password=password, email=email)
        )
        person._log_in(password)
        return person

    @classmethod
    def log_in(cls, url: str, handle: str, password: str) -> Self:
        """An existing account. UnauthorizedError when there is none or the password is wrong."""
        person = cls(url, handle)
        person._log_in(password)
        return person

    @classmethod
    def join(cls, url: str, handle: str, password: str) -> Self:
        """Logs in, or signs up the first time."""
        try:
            return cls.log_in(url, handle, password)
        except UnauthorizedError:
            return cls.sign_up(url, handle, password)

    @property
    def did(self) -> str:
        profile = self.client.me
        if profile is None:  # only before logging in
            raise RuntimeError(f"{self.handle} is not logged in")
        return str(profile.did)

    def post(
        self, text: str, reply_to: Ref | None = None, known: Mapping[str, str] | None = None
    ) -> Ref:
        """Posts; every @handle that exists becomes a mention, as in the app.

        `known` gives DIDs by handle, which are then not asked for.
        """
        reply = self._reply_ref(reply_to) if reply_to else None
        created = self.client.send_post(
            text, facets=self._facets(text, known or {}), reply_to=reply
        )
        return Ref(created.uri, created.cid)

    def mention(self, bot_did: str, bot_handle: str, text: str) -> Ref:
        """Posts `text`, with `@bot_handle` in front unless it is in it already."""
        if f"@{bot_handle}" not in text:
            text = f"@{bot_handle} {text}"
        return self.post(text, known={bot_handle: bot_did})

    def reply(self, post: Ref, text: str) -> Ref:
        return self.post(text, reply_to=post)

    def delete(self, post: Ref) -> None:
        self.client.delete_post(post.uri)

    def block(self, did: str) -> str:
        """Blocks the account; gives the address of the record, for `unblock`."""
        record = models.AppBskyGraphBlock.Record(
            subject=did, created_at=self.client.get_current_time_iso()
        )
        return str(self.client.app.bsky.graph.block.create(self.did, record).uri)

    def unblock(self, uri: str) -> None:
        self.client.app.bsky.graph.block.delete(self.did, AtUri.from_str(uri).rkey)

    def thread(self, uri: str, depth: int = 6) -> Post:
        """The post and what was answered. BadRequestError when the AppView has no such post."""
        return _shown(self.client.get_post_thread(uri, depth=depth, parent_height=0).thread)

    def wait_for_thread(self, uri: str, timeout: float = SETTLE_SECONDS) -> Post:
        """The thread, once the AppView has read the post."""
        return _eventually(lambda: self.thread(uri), timeout, f"{uri} in the AppView")

    def wait_for_reply(self, uri: str, timeout: float, by: str | None = None) -> Post:
        """The first reply to the post by the account `by`, or by anyone else than this person.

        TimeoutError after `timeout` seconds.
        """

        def find() -> Post | None:
            for reply in self.thread(uri, depth=1).replies:
                if reply.author_did == by or (by is None and reply.author_did != self.did):
                    return reply
            return None

        return _eventually(find, timeout, f"a reply to {uri}")

    def notifications(self, limit: int = 50) -> list[Notification]:
        """The newest notifications, newest first."""
        answer = self.client.app.bsky.notification.list_notifications(
            # Without this, the local AppView sometimes leaves out people one does not follow.
            models.AppBskyNotificationListNotifications.Params(limit=limit, priority=False)
        )
        return [
            Notification(
                reason=str(item.reason),
                uri=str(item.uri),
                author_did=str(item.author.did),
                text=str(getattr(item.record, "text", None) or ""),
            )
            for item in answer.notifications
        ]

    def wait_for_notification(self, uri: str, timeout: float = SETTLE_SECONDS) -> Notification:
        """The notification about the record `uri`. TimeoutError after `timeout` seconds."""

        def find() -> Notification | None:
            return next((item for item in self.notifications(100) if item.uri == uri), None)

        return _eventually(find, timeout, f"a notification about {uri}")

    def resolve(self, handle: str) -> str:
        """The DID of a handle. BadRequestError when it has none."""
        return str(self.client.resolve_handle(handle).did)

    def close(self) -> None:
        self.client.request.close()

    def _log_in(self, password: str) -> None:
        self.client.login(self.handle, password, fetch_bsky_profile=False)
        # The AppView knows a new account a moment after the PDS.
        self.client.me = _eventually(
            lambda: self.client.get_profile(self.handle), SETTLE_SECONDS, f"@{self.handle}"
        )

    def _facets(
        self, text: str, known: Mapping[str, str]
    ) -> list[models.AppBskyRichtextFacet.Main]:
        facets = []
        for found in detect_mentions(text):
            did = known.get(found.handle.lower()) or self._try_to_resolve(found.handle)
            if did is not None:
                facets.append(
                    models.AppBskyRichtextFacet.Main(
                        features=[models.AppBskyRichtextFacet.Mention(did=did)],
                        index=models.AppBskyRichtextFacet.ByteSlice(
                            byte_start=found.byte_start, byte_end=found.byte_end
                        ),
                    )
                )
        return facets

    def _try_to_resolve(self, handle: str) -> str | None:
        try:
            return self.resolve(handle)
        except BadRequestError:
            return None

    def _reply_ref(self, parent: Ref) -> models.AppBskyFeedPost.ReplyRef:
        uri = AtUri.from_str(parent.uri)
        record = self.client.app.bsky.feed.post.get(uri.host, uri.rkey).value
        here = models.ComAtprotoRepoStrongRef.Main(uri=parent.uri, cid=parent.cid)
        return models.AppBskyFeedPost.ReplyRef(
            parent=here, root=record.reply.root if record.reply else here
        )


def _address_of(handle: str) -> str:
    digest = hashlib.sha256(handle.encode()).digest()
    return f"10.{digest[0]}.{digest[1]}.{digest[2]}"


def _eventually(get: Callable[[], T | None], timeout: float, what: str) -> T:
    """What `get` gives once it is not None. Errors that mean "not yet" are waited out."""
    deadline = time.monotonic() + timeout
    problem: Exception | None = None
    while True:
        try:
            found = get()
            if found is not None:
                return found
        except (BadRequestError, NetworkError) as error:
            problem = error
        if time.monotonic() >= deadline:
            raise TimeoutError(f"no sign of {what} after {timeout:g} s") from problem
        time.sleep(POLL_SECONDS)


def _shown(node: object) -> Post:
    if isinstance(node, models.AppBskyFeedDefs.ThreadViewPost):
        view = node.post
        record = view.record
        links = [
            feature.uri
            for facet in getattr(record, "facets", None) or []
            for feature in facet.features
            if isinstance(feature, models.AppBskyRichtextFacet.Link)
        ]
        images = view.embed.images if isinstance(view.embed, models.AppBskyEmbedImages.View) else []
        return Post(
            uri=view.uri,
            cid=view.cid,
            author_did=view.author.did,
            author_handle=view.author.handle,
            text=str(getattr(record, "text", "")),
            links=tuple(links),
            images=tuple(image.fullsize for image in images),
            replies=tuple(_shown(reply) for reply in node.replies or []),
        )
    hidden = "blocked" if isinstance(node, models.AppBskyFeedDefs.BlockedPost) else "not found"
    return Post(uri=str(getattr(node, "uri", "")), cid="", hidden=hidden)
