"""An HTTP server in front of Bluesky that can misbehave as servers do: a hop of its own over TCP.

It forwards request by request, so that a change of mood takes effect within a kept connection, and
splices what has become a stream.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from contextlib import suppress
from enum import Enum

_LIMIT = 2**20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STREAM = re.compile(rb"\r\nupgrade: *websocket", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_CUT_AFTER = 40  # bytes of an answer: its status line and a part of its headers
_LOOK_SECONDS = 0.2
_GONE = (ConnectionError, asyncio.IncompleteReadError, OSError)


class Mood(Enum):
    FINE = "forwards"
    LIMITED = "answers 429"
    BROKEN = "answers 500"
    CUT = "cuts its answers and streams"
    HUNG = "does what it is asked and never says so"


class Proxy:
    """Runs on a thread of its own while the block lasts."""

    def __init__(self, port: int, upstream: int) -> None:
        self.url = f"http://localhost:{port}"
        self.requests: Counter[Mood] = Counter()
        self._port = port
        self._upstream = upstream
        self._mood = Mood.FINE
        self._streams: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def become(self, mood: Mood) -> None:
        """From the next request on. Streams that are open end when answers are cut."""
        self._mood = mood
        if mood is Mood.CUT:
            self._loop.call_soon_threadsafe(self._cut_streams)

    async def _listen(self) -> None:
        await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=_LIMIT)

    def _cut_streams(self) -> None:
        for writer in self._streams:
            writer.transport.abort()

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        with suppress(*_GONE):
            server, upstream = await asyncio.open_connection(
                "127.0.0.1", self._upstream, limit=_LIMIT
            )
            while await self._exchange(client, answer, server, upstream):
                pass
        for writer in filter(None, (answer, upstream)):
            writer.close()

    async def _exchange(
        self,
        client: asyncio.StreamReader,
        answer: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """One request and its answer; False when the connection is used up."""
        head = await client.readuntil(_HEAD_END)
        mood = self._mood
        self.requests[mood] += 1
        body = await _body(client, head)
        if mood in (Mood.LIMITED, Mood.BROKEN):
            answer.write(_refusal(mood))
            await answer.drain()
            return True
        upstream.write(head + body)
        found = await server.readuntil(_HEAD_END)
        if mood is Mood.HUNG:
            while self._mood is Mood.HUNG:
                await asyncio.sleep(_LOOK_SECONDS)
            return False
        if mood is Mood.CUT:
            answer.write(found[:_CUT_AFTER])
            await answer.drain()
            answer.transport.abort()
            return False
        if _STREAM.search(found):
            answer.write(found)
            await self._splice(client, answer, server, upstream)
            return False
        head_only = head.startswith(b"HEAD ") or found[9:12] in (b"204", b"304")
        answer.write(found if head_only else found + await _body(server, found))
        await answer.drain()
        return True

    async def _splice(
        self,
        client: asyncio.StreamReader,
        answer: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> None:
        self._streams.add(answer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pour(client, upstream))
                group.create_task(_pour(server, answer))
        except* _GONE:
            pass
        finally:
            self._streams.discard(answer)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
    raise ConnectionResetError  # one side has ended: so does the other


async def _body(source: asyncio.StreamReader, head: bytes) -> bytes:
    """The body as it is on the wire."""
    if found := _LENGTH.search(head):
        return await source.readexactly(int(found[1]))
    if not _CHUNKED.search(head):
        return b""
    whole = b""
    while True:
        size = await source.readuntil(b"\r\n")
        whole += size + await source.readexactly(int(size.split(b";")[0], 16) + 2)
        if int(size.split(b";")[0], 16) == 0:
            return whole


def _refusal(mood: Mood) -> bytes:
    if mood is Mood.LIMITED:
        status, error = "429 Too Many Requests", "RateLimitExceeded"
        limits = (
            "ratelimit-limit: 3000\r\nratelimit-remaining: 0\r\n"
            f"ratelimit-reset: {int(time.time()) + 5}\r\nratelimit-policy: 3000;w=300\r\n"
        )
    else:
        status, error, limits = "500 Internal Server Error", "InternalServerError", ""
    body = f'{{"error":"{error}","message":"{mood.value}"}}'
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{limits}"
        f"content-length: {len(body)}\r\n\r\n{body}"
    ).encode()
