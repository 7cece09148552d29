import asyncio
import gzip
from collections.abc import Iterable

import pytest

from companyos.server.asgi import Message, Receive, Scope, Send
from companyos.server.compression import CompressionLayer, accepts_gzip

LONG = b"all is well " * 200


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("deflate, gzip ; q=1", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(accepted: str, expected: bool) -> None:
    """A browser that names gzip gets it; one that refuses it or does not speak of it does not."""
    assert accepts_gzip(accepted) is expected


def test_a_long_text_is_compressed_and_says_so() -> None:
    """The body is smaller and comes back whole, its length is right, and caches learn what it depends on."""
    headers, body = ask([(LONG, False)], [(b"content-type", b"text/html"), (b"vary", b"cookie")])
    assert gzip.decompress(body) == LONG
    assert len(body) < len(LONG) / 10
    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"content-length"] == str(len(body)).encode()
    assert headers[b"vary"] == b"cookie, accept-encoding"


@pytest.mark.parametrize(
    ("bodies", "fields"),
    [
        ([(b"short", False)], [(b"content-type", b"text/html")]),
        ([(LONG, False)], [(b"content-type", b"image/png")]),
        ([(LONG, False)], [(b"content-type", b"text/html"), (b"content-encoding", b"br")]),
        ([(LONG, False)], [(b"content-type", b"text/event-stream")]),
        ([(LONG, True), (LONG, False)], [(b"content-type", b"application/x-ndjson")]),
    ],
)
def test_everything_else_goes_out_as_it_is(bodies: list[tuple[bytes, bool]], fields: list[tuple[bytes, bytes]]) -> None:
    """Short answers, pictures, what is compressed already and streams are not touched."""
    headers, body = ask(bodies, fields)
    assert body == b"".join(part for part, _ in bodies)
    assert headers == dict(fields)


def test_a_fault_goes_through() -> None:
    """An application that fails before it answers is not answered for here."""

    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError, match="no answer"):
        run(CompressionLayer(fails))


def ask(bodies: Iterable[tuple[bytes, bool]], fields: list[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], bytes]:
    """Return headers and body of the answer that an application with these bodies gives to a browser."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(fields)})
        for body, more in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": more})

    first, *parts = run(CompressionLayer(application))
    return dict(first["headers"]), b"".join(part["body"] for part in parts)


def run(layer: CompressionLayer) -> list[Message]:
    """Return what the layer sends to a browser that accepts gzip."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip, br")]}
    asyncio.run(layer(scope, receive, send))
    return sent
