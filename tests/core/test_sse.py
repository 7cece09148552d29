from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import TooManyRequests
from companyos.core.sse import Event, Streams, encode

FOREVER = 3600.0


class Peer:
    """The other side of one ASGI conversation: it keeps what was sent and leaves when it is told to."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self._news = asyncio.Condition()

    async def receive(self) -> dict[str, Any]:
        """Say that the peer has left, once it has."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keep what was sent."""
        async with self._news:
            self.messages.append(dict(message))
            self._news.notify_all()

    @property
    def body(self) -> bytes:
        """All bytes of the answer so far."""
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def complete(self) -> bool:
        """Whether the answer has ended as it should."""
        return bool(self.messages) and self.messages[-1].get("more_body") is False

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is looked at after each message."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(condition)


async def _events(*texts: str) -> AsyncIterator[Event]:
    for number, text in enumerate(texts):
        yield Event(data=text, id=str(number))


async def _endless() -> AsyncIterator[Event]:
    yield Event(data="first")
    await asyncio.Event().wait()


def test_events_arrive_in_order_with_headers_that_forbid_buffering() -> None:
    """A stream sends its head at once, each event as it comes, and ends when its source ends."""

    async def story() -> Peer:
        peer = Peer()
        await Streams().stream("user:ada", _events("one", "two"))({}, peer.receive, peer.send)
        return peer

    peer = asyncio.run(story())
    headers = dict(peer.messages[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"
    assert peer.body == b": alive\n\nid: 0\ndata: one\n\nid: 1\ndata: two\n\n"
    assert peer.complete


def test_closing_ends_open_streams_and_later_ones() -> None:
    """After close_all an open stream completes its answer, a new one ends at once, and none is counted."""

    async def story() -> None:
        streams, peer, late = Streams(), Peer(), Peer()
        running = asyncio.create_task(_run(streams, peer))
        await peer.until(lambda: b"first" in peer.body)
        assert len(streams) == 1
        streams.close_all()
        await asyncio.wait_for(running, 10)
        assert peer.complete
        await asyncio.wait_for(_run(streams, late), 10)
        assert late.complete
        assert len(streams) == 0

    asyncio.run(story())


def test_a_peer_that_reads_no_more_does_not_hold_up_the_end() -> None:
    """A stream whose peer has stopped reading ends too when the server stops."""

    async def story() -> None:
        streams, peer = Streams(), Peer()
        stuck = asyncio.Event()

        async def send(message: MutableMapping[str, Any]) -> None:
            await peer.send(message)
            if b"first" in peer.body:
                stuck.set()
                await asyncio.Event().wait()

        stream = streams.stream("user:ada", _endless())
        running = asyncio.create_task(stream({}, peer.receive, send))
        await stuck.wait()
        streams.close_all()
        await asyncio.wait_for(running, 10)

    asyncio.run(story())


def test_a_peer_that_leaves_frees_its_place_and_stops_the_source() -> None:
    """When the browser goes away, the source is closed and the place can be taken by another."""

    async def story() -> None:
        streams, peer = Streams(limit_per_owner=1), Peer()
        closed = asyncio.Event()

        async def source() -> AsyncIterator[Event]:
            try:
                yield Event(data="first")
                await asyncio.Event().wait()
            finally:
                closed.set()

        running = asyncio.create_task(streams.stream("user:ada", source())({}, peer.receive, peer.send))
        await peer.until(lambda: b"first" in peer.body)
        peer.left.set()
        await asyncio.wait_for(running, 10)
        assert closed.is_set()
        assert len(streams) == 0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("limits", "second"),
    [({"limit_per_owner": 1}, "user:ada"), ({"limit": 1}, "user:eve")],
    ids=["one owner", "all owners"],
)
def test_too_many_streams_are_refused_before_the_first_byte(limits: dict[str, int], second: str) -> None:
    """One stream above either limit raises TooManyRequests and sends nothing; the open one goes on."""

    async def story() -> None:
        streams, peer, refused = Streams(**limits), Peer(), Peer()
        running = asyncio.create_task(_run(streams, peer))
        await peer.until(lambda: b"first" in peer.body)
        with pytest.raises(TooManyRequests):
            await _run(streams, refused, owner=second)
        assert refused.messages == []
        assert len(streams) == 1
        streams.close_all()
        await running

    asyncio.run(story())


def test_a_silent_stream_sends_heartbeats() -> None:
    """A source without news still yields comments, which keep the connection alive."""

    async def story() -> None:
        streams, peer = Streams(heartbeat_s=0.001), Peer()
        running = asyncio.create_task(_run(streams, peer))
        await peer.until(lambda: peer.body.count(b": alive\n\n") >= 5)
        streams.close_all()
        await running

    asyncio.run(story())


def test_a_stream_ends_after_its_lifetime() -> None:
    """A stream is cut after its lifetime, so that the credential is looked at again."""

    async def story() -> None:
        peer = Peer()
        await asyncio.wait_for(_run(Streams(lifetime_s=0.01), peer), 10)
        assert peer.complete

    asyncio.run(story())


def test_a_source_that_fails_ends_the_stream_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the source is logged once, and the peer gets a complete answer without its text."""

    async def source() -> AsyncIterator[Event]:
        yield Event(data="first")
        raise RuntimeError("the secret reason")

    async def story() -> Peer:
        peer = Peer()
        await Streams().stream("user:ada", source())({}, peer.receive, peer.send)
        return peer

    peer = asyncio.run(story())
    assert peer.complete
    assert b"secret" not in peer.body
    assert [record.getMessage() for record in caplog.records] == ["event stream failed"]


@given(st.text())
def test_data_never_breaks_out_of_its_event(data: str) -> None:
    """Whatever the text, decoding the encoded event gives it back, with line ends as line feeds."""
    encoded = encode(Event(data=data, id="1", event="row", retry_ms=5)).decode()
    head, rest = encoded[: encoded.index("data: ")], encoded[encoded.index("data: ") :]
    assert head == "retry: 5\nevent: row\nid: 1\n"
    assert rest.endswith("\n\n")
    lines = rest[:-2].split("\n")
    assert all(line.startswith("data: ") for line in lines)
    expected = data.replace("\r\n", "\n").replace("\r", "\n")
    assert "\n".join(line.removeprefix("data: ") for line in lines) == expected


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
def test_names_and_ids_are_one_line(value: str) -> None:
    """An id or a name with a line break or NUL is refused: it could forge another event."""
    with pytest.raises(ValueError, match="one line"):
        encode(Event(data="", id=value))
    with pytest.raises(ValueError, match="one line"):
        encode(Event(data="", event=value))


async def _run(streams: Streams, peer: Peer, owner: str = "user:ada") -> None:
    await streams.stream(owner, _endless())({}, peer.receive, peer.send)
