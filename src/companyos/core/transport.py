"""A way to the platform: HTTP to a server that runs. ``companyos.core.in_process`` is the other one.

Both give an ``Exchange``: the status and headers of one answer, and its body in pieces. A transport knows nothing of
JSON and problems (``companyos.core.api`` does) or of where the platform is (``companyos.core.client``).
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Generator, Iterator, Mapping
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from companyos.core.errors import Unavailable

CONNECT_S: Final = 5.0
READ_S: Final = 60.0
"""The longest silence of a server in the middle of an answer."""


class Request(NamedTuple):
    """One request; ``target`` is the path with its query, both percent-encoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


class Exchange(NamedTuple):
    """One answer. Header names are lower-case; the pieces can be read once."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class Transport(Protocol):
    """A way to send a request."""

    def exchange(self, request: Request) -> contextlib.AbstractContextManager[Exchange]:
        """Return the answer while the context lasts; raises Unavailable when there is none."""
        ...


class HttpTransport:
    """HTTP to a server, with a token; redirects are not followed, because a token must not travel to another place."""

    def __init__(self, url: str, token: str) -> None:
        """Take the address of the platform without a trailing slash, and the bearer token, empty for none."""
        self._url = url
        self._token = token

    @contextlib.contextmanager
    def exchange(self, request: Request) -> Generator[Exchange, None, None]:
        """Return the answer while the context lasts."""
        import httpx

        headers = {**request.headers, **({"authorization": f"Bearer {self._token}"} if self._token else {})}
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
        try:
            with (
                httpx.Client(timeout=timeout, trust_env=not is_loopback(self._url)) as client,
                client.stream(
                    request.method, self._url + request.target, headers=headers, content=request.body
                ) as answer,
            ):
                yield Exchange(answer.status_code, dict(answer.headers), answer.iter_bytes())
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            reason = str(fault) or type(fault).__name__
            raise Unavailable(
                f"The platform at {self._url} does not answer: {reason}",
                next_step="Look whether it runs with: companyos status",
            ) from fault


def is_loopback(url: str) -> bool:
    """Return whether the host of an address is this machine, so that what is sent crosses no network."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
