"""The load generator's HTTP/1.1: a kept connection that costs as little as possible and keeps nothing of a body.

An answer in chunks counts as complete when what has arrived ends like a last chunk; a body could look like that in the
middle, which a generator of load can live with and a client could not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

HEAD_LIMIT_BYTES: Final = 64 * 1024
_HEAD: Final = -1
_CHUNKS: Final = -2
_TO_THE_END: Final = -3


class Connection(asyncio.Protocol):
    """One connection with one request at a time; answers have a length, come in chunks or last until the end."""

    def __init__(self, done: Callable[[Connection, int], None]) -> None:
        """Take what is called with the status when an answer is complete, with 0 when the connection broke."""
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._status = 0
        self._left = _HEAD
        """Bytes of the body that are missing, or one of the three states below."""
        self._keep = True
        self.due: float | None = None
        """When the request in flight should have begun; None while there is none."""

    @property
    def usable(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes, due: float) -> None:
        """Send a whole request."""
        self.due = due
        self._left, self._status, self._keep = _HEAD, 0, True
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        """Close at once; the request in flight has failed."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the request in flight: answered when its body lasts until the end, else failed."""
        self._transport = None
        if self.due is not None:
            self._done(self, self._status if self._left == _TO_THE_END and exc is None else 0)

    def data_received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        if self.due is None:
            self.abort()
            return
        if self._left > 0:
            self._left = max(0, self._left - len(data))
        else:
            self._received += data
            if self._left == _HEAD and not self._take_head():
                return
            if self._left == _CHUNKS and self._received.endswith(b"0\r\n\r\n"):
                self._left = 0
        if self._left == 0:
            self._received.clear()
            if not self._keep and self._transport is not None:
                self._transport.close()
            self._done(self, self._status)
        elif len(self._received) > HEAD_LIMIT_BYTES:
            del self._received[:-5]

    def _take_head(self) -> bool:
        """Read the head once it is whole; what remains in the buffer is body."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > HEAD_LIMIT_BYTES:
                self.abort()
            return False
        head = bytes(self._received[:end]).lower()
        del self._received[: end + 4]
        status = head[9:12]
        if not head.startswith(b"http/1.") or not status.isdigit():
            self.abort()
            return False
        self._status = int(status)
        self._keep = b"\r\nconnection: close" not in head
        length = head.find(b"\r\ncontent-length:")
        if length >= 0:
            text = head[length + 17 :].split(b"\r\n", 1)[0].strip()
            self._left = max(0, int(text) - len(self._received)) if text.isdigit() else 0
        elif b"\r\ntransfer-encoding: chunked" in head:
            self._left = _CHUNKS
        else:
            self._left = 0 if self._status in {204, 304} else _TO_THE_END
        return True
