"""Asking for readiness, of servers of every kind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from companyos.delivery.adapters.local.probe import probe


def ask(answer: bytes | None, within_s: float = 5.0) -> tuple[str, bytes]:
    """Return what the probe says about a server that answers so (None: never), and what it was asked."""
    asked = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.extend(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    async def run() -> str:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await probe(server.sockets[0].getsockname(), "/ready", within_s)

    return asyncio.run(run()), bytes(asked)


def test_200_is_ready() -> None:
    """The request is plain HTTP/1.1 for one answer."""
    said, asked = ask(b"HTTP/1.1 200 OK\r\n\r\n")
    assert said == ""
    assert asked.startswith(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Connection: close\r\n" in asked


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "GET /ready answered 503"),
        (b"HTTP/1.0 404\r\n", "GET /ready answered 404"),
        (b"", "GET /ready failed: IncompleteReadError"),
        (b"SSH-2.0-x\r\n", "GET /ready failed: ValueError"),
        (b"HTTP/1.1 abc OK\r\n", "GET /ready failed: ValueError"),
        (b"nonsense\r\n", "GET /ready failed: ValueError"),
        (b"x" * 100_000, "GET /ready failed: LimitOverrunError"),
    ],
)
def test_anything_else_is_not(answer: bytes, said: str) -> None:
    """It says what came."""
    assert ask(answer)[0] == said


def test_one_that_does_not_answer_is_given_up() -> None:
    """It accepts and says nothing."""
    assert ask(None, within_s=0.05)[0] == "GET /ready did not answer within 0.05 s"


def test_one_that_does_not_listen_is_no_error() -> None:
    """It has not come that far."""
    with _unused() as address:
        assert asyncio.run(probe(address, "/ready")) == f"Nothing listens on 127.0.0.1:{address[1]} yet"


@contextmanager
def _unused() -> Iterator[tuple[str, int]]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()
