"""Server-sent events (WHATWG HTML §9.2) as a plain ASGI application, and the register of streams that are open.

A stream never ends by itself, and a server that waits for its connections would never stop: ``Streams.close_all`` ends
them all, and the server calls it before it waits. A route hands the stream back as its answer::

    @get("/events", media_type="text/event-stream", sync_to_thread=False)
    def events(caller: Caller, streams: Streams) -> EventStream:
        require(caller, "tower.read", "tower:events")
        return streams.stream(caller.subject, changes())
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from companyos.core.errors import TooManyRequests

HEARTBEAT_S: Final = 15.0
"""A comment goes out after this long without an event, so that proxies and browsers know that the stream lives."""

LIFETIME_S: Final = 900.0
"""A stream ends after this long. The browser comes back at once and is authenticated anew, so a session or token that
was revoked sees no more than this."""

LIMIT: Final = 256
LIMIT_PER_OWNER: Final = 16

_RETRY_AFTER_S: Final = 30
_LAST_WORDS_S: Final = 0.25
_HEARTBEAT: Final = b": alive\n\n"

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a stream."""

    data: str
    """May have several lines; the receiver gets them joined by line feeds."""
    event: str | None = None
    """The name that listeners register for; the browser calls an event without one ``message``."""
    id: str | None = None
    """What the browser sends back as ``Last-Event-ID`` when it reconnects."""
    retry_ms: int | None = None
    """How long the browser waits before it reconnects."""


def encode(event: Event) -> bytes:
    """Return the bytes of one event; raises ValueError when ``event`` or ``id`` would break out of its line."""
    lines = []
    if event.retry_ms is not None:
        lines.append(f"retry: {event.retry_ms}")
    for name, value in (("event", event.event), ("id", event.id)):
        if value is None:
            continue
        if any(control in value for control in "\r\n\0"):
            raise ValueError(f"the {name} of a server-sent event is one line without NUL")
        lines.append(f"{name}: {value}")
    data = event.data.replace("\r\n", "\n").replace("\r", "\n")
    lines.extend(f"data: {line}" for line in data.split("\n"))
    return ("\n".join(lines) + "\n\n").encode()


class Streams:
    """The streams that one server process holds open; used from its event loop only."""

    def __init__(
        self,
        *,
        limit: int = LIMIT,
        limit_per_owner: int = LIMIT_PER_OWNER,
        heartbeat_s: float = HEARTBEAT_S,
        lifetime_s: float = LIFETIME_S,
    ) -> None:
        """Take how many streams may be open in all and for one owner."""
        self._limit = limit
        self._limit_per_owner = limit_per_owner
        self._heartbeat_s = heartbeat_s
        self._lifetime_s = lifetime_s
        self._open: Counter[str] = Counter()
        self._ends: set[asyncio.Future[None]] = set()
        self._closing = False

    def __len__(self) -> int:
        return self._open.total()

    def stream(self, owner: str, source: AsyncIterator[Event]) -> EventStream:
        """Return the answer that sends what ``source`` yields; it counts against ``owner`` while it runs."""
        return EventStream(self, owner, source)

    def close_all(self) -> None:
        """End every open stream, and each later one at once; the connections then close by themselves."""
        self._closing = True
        for end in self._ends:
            if not end.done():
                end.set_result(None)

    @property
    def closing(self) -> bool:
        """Whether ``close_all`` was called."""
        return self._closing

    @contextmanager
    def _admitted(self, owner: str) -> Iterator[None]:
        if self._open.total() >= self._limit or self._open[owner] >= self._limit_per_owner:
            raise TooManyRequests(
                "Too many event streams are open.",
                retry_after_s=_RETRY_AFTER_S,
                next_step="Close other windows that show this page, or wait.",
            )
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]

    async def _run(self, owner: str, source: AsyncIterator[Event], receive: Receive, send: Send) -> None:
        with self._admitted(owner):
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        (b"content-type", b"text/event-stream"),
                        (b"cache-control", b"no-store"),
                        (b"x-accel-buffering", b"no"),
                    ],
                }
            )
            await self._pump_until_over(source, receive, send)
            # A peer that reads no more must not hold the server up, so the last words have a time limit too.
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump_until_over(self, source: AsyncIterator[Event], receive: Receive, send: Send) -> None:
        """Send events until the source ends, the peer leaves, the server stops or the lifetime is over."""
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.add(end)
        if self._closing:
            end.set_result(None)
        pump = asyncio.create_task(_pump(source, self._heartbeat_s, send))
        running = {pump, asyncio.create_task(_disconnected(receive)), end}
        try:
            await asyncio.wait(running, timeout=self._lifetime_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ends.discard(end)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if not pump.cancelled() and (fault := pump.exception()) and not isinstance(fault, OSError):
            _log.error("event stream failed", exc_info=fault)


class EventStream:
    """An ASGI application that answers with server-sent events; raises TooManyRequests before its first byte."""

    def __init__(self, streams: Streams, owner: str, source: AsyncIterator[Event]) -> None:
        """Take the register it counts in, who it counts against, and what yields its events."""
        self._streams = streams
        self._owner = owner
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until the peer leaves or the server stops."""
        del scope
        await self._streams._run(self._owner, self._source, receive, send)  # noqa: SLF001 - two halves of one thing


async def _pump(source: AsyncIterator[Event], heartbeat_s: float, send: Send) -> None:
    """Send what the source yields, and a heartbeat whenever it is silent for too long."""
    following: asyncio.Future[Event] | None = None
    try:
        # The first bytes go out at once, so that a browser shows "connected" before anything has changed.
        await send({"type": "http.response.body", "body": _HEARTBEAT, "more_body": True})
        while True:
            following = following or asyncio.ensure_future(anext(source))
            await asyncio.wait({following}, timeout=heartbeat_s)
            chunk = _HEARTBEAT
            if following.done():
                chunk = encode(following.result())
                following = None
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except StopAsyncIteration:
        return
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if close := getattr(source, "aclose", None):
            await close()


async def _disconnected(receive: Receive) -> None:
    """Return when the peer has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
