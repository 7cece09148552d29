"""Compresses whole answers with gzip (RFC 9110 §8.4.1.3) for who accepts it; streams go out as they come.

Litestar's own layer opens a gzip file for every request, also for those that fail; from CPython 3.12 on, each of these
complains when it is collected. It also sits inside the layer that turns faults into problem documents.
"""

from __future__ import annotations

import zlib
from typing import Final

from companyos.server.asgi import App, Message, Receive, Scope, Send, header, header_values

SMALLEST_BYTES: Final = 1024
"""Below this an answer fits into one packet anyway."""

LEVEL: Final = 6
_GZIP_FORMAT: Final = 31
"""zlib's number for the largest window, in a gzip wrapper."""

_TEXTUAL: Final = (b"text/", b"application/json", b"application/problem+json", b"application/x-ndjson", b"image/svg")
_SENT_AS_IT_IS: Final = b"text/event-stream"


class CompressionLayer:
    """Compresses the answers of the application inside."""

    def __init__(self, app: App) -> None:
        """Take the application inside."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not accepts_gzip(",".join(header_values(scope, b"accept-encoding"))):
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                first, start = start, None
                if not message.get("more_body", False):
                    _compress(first, message)
                await send(first)
            await send(message)

        await self._app(scope, receive, send_compressed)


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether an Accept-Encoding header names gzip without refusing it (``q=0``)."""
    for offer in accept_encoding.lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False


def _compress(start: Message, message: Message) -> None:
    """Replace the body and what the headers say of it, where that is worth the work."""
    headers = dict(start["headers"])
    media_type = headers.get(b"content-type", b"")
    if (
        len(message.get("body", b"")) < SMALLEST_BYTES
        or b"content-encoding" in headers
        or not media_type.startswith(_TEXTUAL)
        or media_type.startswith(_SENT_AS_IT_IS)
    ):
        return
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    body = compressor.compress(message["body"]) + compressor.flush()
    varies = [value for name, value in start["headers"] if name == b"vary" and b"accept-encoding" not in value]
    start["headers"] = [
        *(pair for pair in start["headers"] if pair[0] not in {b"content-length", b"vary"}),
        header("content-encoding", "gzip"),
        header("content-length", str(len(body))),
        (b"vary", b", ".join([*varies, b"accept-encoding"])),
    ]
    message["body"] = body
