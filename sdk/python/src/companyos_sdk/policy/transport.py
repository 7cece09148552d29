"""Talking to the platform: one request over HTTP, bounded in time and size, with nothing but the standard library.

Redirects are not followed, so a credential goes only where it was meant to go.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

CONNECT_S: Final = 5.0
TOTAL_S: Final = 30.0
MAX_REPLY_BYTES: Final = 1024 * 1024

_CHUNK: Final = 64 * 1024
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Unreachable(Exception):
    """There was no usable answer: no connection, too slow, cut off or too long. It may be tried again."""


class Reply(msgspec.Struct, frozen=True):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Endpoint:
    """A platform's address and how to show who is asking. Each request has a connection of its own."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        plain_http: bool = False,
        tls: ssl.SSLContext | None = None,
        connect_s: float = CONNECT_S,
        total_s: float = TOTAL_S,
    ) -> None:
        """Talk to ``https://host[:port][/prefix]`` with this bearer token, or one that is asked for each time.

        Plain HTTP is for this machine only, unless ``plain_http`` says that the network between is protected otherwise.
        Raises ValueError.
        """
        parts = urlsplit(url)
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
            raise ValueError(f"{url[:120]!r} is no address of a platform. Write it like https://companyos.example.")
        if parts.scheme == "http" and host not in _LOOPBACK and not plain_http:
            raise ValueError(
                f"{url[:120]!r} would send the token unprotected. "
                "Use https, or plain_http=True where the network is safe."
            )
        self.url: Final = url.rstrip("/")
        self._host, self._port, self._prefix = host, parts.port, parts.path.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._token = token
        self._connect_s, self._total_s = connect_s, total_s

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_REPLY_BYTES,
    ) -> Reply:
        """The answer to one request. Raises Unreachable."""
        end = time.monotonic() + self._total_s
        token = self._token if isinstance(self._token, str) else self._token()
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=self._connect_s)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=self._connect_s, context=self._tls)
        )
        try:
            connection.connect()
            connection.sock.settimeout(self._total_s)
            sent = {"authorization": f"Bearer {token}", "connection": "close", **(headers or {})}
            connection.request(method, self._prefix + path, body=body, headers=sent)
            reply = connection.getresponse()
            data = _read(reply, connection, end, max_bytes)
            names = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, names, data)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise Unreachable(f"{self.url} gave no answer: {str(fault) or type(fault).__name__}") from fault
        finally:
            connection.close()


def _read(reply: http.client.HTTPResponse, connection: http.client.HTTPConnection, end: float, max_bytes: int) -> bytes:
    parts, size = [], 0
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long")
        if connection.sock is not None:
            connection.sock.settimeout(left)
        # read1 gives what has come, so that a sender of single bytes runs into the deadline.
        part = reply.read1(_CHUNK)
        if not part:
            break
        size += len(part)
        if size > max_bytes:
            raise ValueError(f"it is longer than {max_bytes} bytes")
        parts.append(part)
    if reply.length:
        raise http.client.IncompleteRead(b"", reply.length)
    return b"".join(parts)
