"""The load generator: HTTP/1.1 over keep-alive connections, in one asyncio loop.

It parses no more of an answer than its end, so one core of it outruns any Python server; each
result says how much of a core it took, for the reader to see that it is not what was measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from tests.bench.figures import quantile

PATIENCE = 20.0  # seconds until a person gives up on a page: more than the edge's own 15 s
_LIMIT = 2**20


@dataclass
class Result:
    """What happened in a window of `window` seconds; times and failures of what began in it."""

    window: float
    seconds: list[float] = field(default_factory=list)
    """How long each page took, failures left out."""
    failures: Counter[str] = field(default_factory=Counter)
    """Anything that is not a page: other statuses, lost connections, no answer."""
    finished: int = 0
    """Pages that were complete within the window, whenever they began."""
    busy: float = 0.0
    """Part of one core that the generator itself used."""

    @property
    def rate(self) -> float:
        """Pages per second."""
        return self.finished / self.window

    @property
    def p50(self) -> float:
        return quantile(self.seconds, 0.5)

    @property
    def p95(self) -> float:
        return quantile(self.seconds, 0.95)

    def count(self, begin: float, started: float, status: int | str) -> None:
        """A request that began at `started` has ended; the window begins at `begin`."""
        now = time.monotonic()
        if status == 200 and begin <= now < begin + self.window:
            self.finished += 1
        if started < begin:
            return
        if status == 200:
            self.seconds.append(now - started)
        else:
            self.failures[str(status)] += 1


class Visitor:
    """One browser: a connection that is kept, and opened again where the server has closed it.

    `source` is the loopback address it comes from: servers that count requests per address see as
    many people as there are.
    """

    def __init__(self, port: int, source: str | None = None) -> None:
        self._port = port
        self._source = (source, 0) if source else None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.head = b""
        """Status line and headers of the last answer, in lower case; empty where there is none."""

    async def get(self, path: str, headers: str = "") -> int | str:
        """The status, or why there is none. `headers` are lines that end with CRLF."""
        self.head = b""
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        try:
            async with asyncio.timeout(PATIENCE):
                if self._streams is not None:
                    try:
                        return await self._exchange(*self._streams, request)
                    except (asyncio.IncompleteReadError, ConnectionError):
                        self.close()  # the server had ended an idle connection
                self._streams = await asyncio.open_connection(
                    "127.0.0.1", self._port, local_addr=self._source, limit=_LIMIT
                )
                return await self._exchange(*self._streams, request)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            self.close()
            return type(error).__name__

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> int:
        writer.write(request)
        self.head = head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.find(b"content-length:")
        if length >= 0:
            await reader.readexactly(int(head[length + 15 : head.index(b"\r", length)]))
        elif b"transfer-encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        if b"connection: close" in head:
            self.close()
        return int(head[9:12])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def addresses() -> Iterator[str]:
    """Loopback addresses, all different."""
    return (f"127.{1 + n // 62_500}.{n // 250 % 250}.{1 + n % 250}" for n in count())


async def flood(
    port: int, paths: list[str], connections: int, window: float, warmup: float
) -> Result:
    """As fast as the server answers, `connections` requests at a time, after `warmup` seconds.

    For servers behind one trusted proxy: each request names another address.
    """
    result = Result(window)
    begin = time.monotonic() + warmup
    numbers = count()

    async def visit() -> None:
        visitor = Visitor(port)
        while (started := time.monotonic()) < begin + window:
            number = next(numbers)
            address = f"X-Forwarded-For: 10.0.{number // 250 % 250}.{1 + number % 250}\r\n"
            status = await visitor.get(paths[number % len(paths)], address)
            result.count(begin, started, status)
        visitor.close()

    await _measured(result, warmup, [visit() for _ in range(connections)])
    return result


async def crowd(
    port: int,
    choose: Callable[[Random], str],
    people: int,
    window: float,
    warmup: float,
    seed: int,
    think: float = 1.0,
) -> Result:
    """`people` who each look at a page, then think for `think` seconds (half to one and a half).

    What began within the window counts, however long it takes after it.
    """
    result = Result(window)
    begin = time.monotonic() + warmup
    browser = "Accept-Encoding: gzip\r\n"

    async def person(number: int, address: str) -> None:
        chance = Random(f"{seed}/{number}")
        visitor = Visitor(port, address)
        await asyncio.sleep(chance.uniform(0, min(warmup, 1.5 * think)))
        while (started := time.monotonic()) < begin + window:
            status = await visitor.get(choose(chance), browser)
            result.count(begin, started, status)
            await asyncio.sleep(think * chance.uniform(0.5, 1.5))
        visitor.close()

    sources = addresses()
    await _measured(result, warmup, [person(n, next(sources)) for n in range(people)])
    return result


async def _measured(
    result: Result, warmup: float, visits: Iterable[Coroutine[Any, Any, None]]
) -> None:
    async def use() -> None:
        await asyncio.sleep(warmup)
        before = time.process_time()
        await asyncio.sleep(result.window)
        result.busy = (time.process_time() - before) / result.window

    await asyncio.gather(use(), *visits)
