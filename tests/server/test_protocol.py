from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
import uvicorn
from uvicorn.server import ServerState

from companyos.server.asgi import Receive, Scope, Send, answer
from companyos.server.protocol import HEAD_LIMIT_BYTES, BoundedHttpProtocol


class Impatient(BoundedHttpProtocol):
    """The protocol with a time limit that a test can wait for."""

    head_timeout_s: ClassVar[float] = 0.05


async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer after more time than a head may take."""
    await asyncio.sleep(3 * Impatient.head_timeout_s)
    await answer(send, 200, [], b"done")


@asynccontextmanager
async def connected(
    kind: Callable[..., BoundedHttpProtocol],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a connection to a server that speaks the protocol."""
    config = uvicorn.Config(slow, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        server.close()


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: y"], ids=["nothing", "half a head"])
def test_a_head_that_does_not_come_closes_the_connection(start: bytes) -> None:
    """Whoever connects and does not ask, or not to the end, is let go (Slowloris)."""

    async def story() -> bytes:
        async with connected(Impatient) as (reader, writer):
            writer.write(start)
            return await asyncio.wait_for(reader.read(), 10)

    assert asyncio.run(story()) == b""


def test_an_answer_may_take_longer_than_a_head() -> None:
    """Once the head is whole its limit is over; the second head on the connection has one of its own."""

    async def story() -> bytes:
        async with connected(Impatient) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            received = await asyncio.wait_for(reader.readuntil(b"done"), 10)
            writer.write(b"GET / HTTP/1.1\r\nho")
            return received + await asyncio.wait_for(reader.read(), 10)

    received = asyncio.run(story())
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"done")


def test_a_header_without_an_end_is_refused() -> None:
    """The head is counted as it comes, also while one header of it is not complete."""

    async def story() -> bytes:
        async with connected(BoundedHttpProtocol) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nx: ")
            for _ in range(2 * HEAD_LIMIT_BYTES // 4096):
                writer.write(b"a" * 4096)
                with contextlib.suppress(OSError):
                    await writer.drain()
            return await asyncio.wait_for(reader.readline(), 10)

    with contextlib.suppress(ConnectionResetError):  # what a peer sees that goes on sending
        assert asyncio.run(story()) in (b"HTTP/1.1 431 Request Header Fields Too Large\r\n", b"")
