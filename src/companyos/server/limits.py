"""What is checked before anything is read: the host, the headers, and the size, the time and the type of the body."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from companyos.core.errors import InvalidInput, TooLarge, UnsupportedMediaType
from companyos.core.settings import Settings
from companyos.evidence.archive import MAX_BYTES
from companyos.identity.document import LIMITS as IMPORT
from companyos.policy.shelf import MAX_BYTES as BUNDLE_BYTES
from companyos.server.asgi import CALLER, App, Message, Receive, Scope, Send, asked_path, header_value, header_values
from companyos.server.errors import HeadersTooLarge, Misdirected, RequestTimeout

HEADERS_LIMIT_BYTES: Final = 32 * 1024
HEADERS_LIMIT: Final = 100
PATH_LIMIT: Final = 2048
QUERY_LIMIT: Final = 8192


class BodyLimit(NamedTuple):
    """How large a body may be, and how long it may take."""

    bytes: int
    seconds: float


LARGER: Final[Mapping[tuple[str, str], BodyLimit]] = MappingProxyType(
    {
        ("POST", "/api/artifacts"): BodyLimit(MAX_BYTES, 120.0),
        ("POST", "/api/identity/import"): BodyLimit(IMPORT.bytes, 60.0),
        ("POST", "/api/policy/bundles"): BodyLimit(BUNDLE_BYTES, 60.0),
        ("POST", "/api/policy/signatures"): BodyLimit(BUNDLE_BYTES, 60.0),
        ("POST", "/v1/decisions"): BodyLimit(8 * 1024 * 1024, 30.0),
    }
)
"""Methods and paths that take more than the settings say. A body is read after the caller is known."""

UNTYPED: Final = frozenset({"/v1/authorize", "/access/v1/evaluation", "/access/v1/evaluations"})
"""Here a body without a type is a 400 like one of another type, as OpenID AuthZEN wants it; the application says so."""

_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")


def own_hosts(settings: Settings) -> frozenset[str]:
    """Return the names under which this server may be asked, besides addresses in digits."""
    named = {"localhost", settings.host.lower(), (urlsplit(settings.public_url).hostname or "").lower()}
    return frozenset(named - {""})


def check_host(values: list[str], own: Collection[str]) -> None:
    """Return when the Host header names this server; raise InvalidInput or Misdirected otherwise.

    DNS rebinding needs a name that its owner can point elsewhere, so an address in digits is as good as our own names.
    """
    if len(values) != 1 or not (found := _HOST.fullmatch(values[0])):
        raise InvalidInput("The request needs exactly one Host header with a host name.", field="Host")
    host = found[1].lower().rstrip(".")
    if host in own or host.endswith(".localhost") or _is_address(host):
        return
    raise Misdirected(
        f"This server is not {host[:100]!r}.",
        next_step="Use the address that the server printed at its start, or set COMPANYOS_PUBLIC_URL.",
        field="Host",
    )


def check_headers(scope: Scope) -> None:
    """Return when header fields, path and query are of sane size; raise HeadersTooLarge or TooLarge otherwise."""
    headers = scope["headers"]
    if len(headers) > HEADERS_LIMIT or sum(len(name) + len(value) for name, value in headers) > HEADERS_LIMIT_BYTES:
        raise HeadersTooLarge(f"At most {HEADERS_LIMIT} header fields with {HEADERS_LIMIT_BYTES} bytes are read.")
    if len(scope["raw_path"] or b"") > PATH_LIMIT or len(scope["query_string"]) > QUERY_LIMIT:
        raise InvalidInput(f"The path may have {PATH_LIMIT} bytes and the query {QUERY_LIMIT}.")


def declared_length(scope: Scope) -> int | None:
    """Return the length of the body: 0 when there is none, None when it comes in chunks; InvalidInput for nonsense."""
    lengths = header_values(scope, b"content-length")
    if header_value(scope, b"transfer-encoding") is not None:
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _DIGITS.fullmatch(lengths[0]):
        raise InvalidInput("The Content-Length is not one number.", field="Content-Length")
    return int(lengths[0])


def check_body(scope: Scope, limit_bytes: int) -> None:
    """Return when the body may be read: not declared as too large, and declared as something."""
    length = declared_length(scope)
    if length is not None and length > limit_bytes:
        raise _too_large(limit_bytes)
    if length != 0 and header_value(scope, b"content-type") is None and asked_path(scope) not in UNTYPED:
        raise UnsupportedMediaType(
            "The body has no Content-Type.", next_step="Say what it is, for example application/json."
        )


def limited(receive: Receive, *, limit_bytes: int, timeout_s: float) -> Receive:
    """Return a ``receive`` that raises TooLarge and RequestTimeout while the body comes in, however it comes."""
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    seen = 0
    complete = False

    async def receive_limited() -> Message:
        nonlocal deadline, seen, complete
        if complete:
            return await receive()
        # The time runs from the first look at the body, so a busy server does not blame its caller.
        deadline = loop.time() + timeout_s if deadline is None else deadline
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as fault:
            raise RequestTimeout(
                f"The body did not arrive within {timeout_s:g} s.", next_step="Send it faster, or send less."
            ) from fault
        if message["type"] == "http.request":
            seen += len(message["body"])
            complete = not message.get("more_body", False)
            if seen > limit_bytes:
                raise _too_large(limit_bytes)
        return message

    return receive_limited


class LimitsLayer:
    """Refuses what is too large, too slow or meant for another host, before anybody is authenticated."""

    def __init__(self, app: App, settings: Settings) -> None:
        """Take the application inside, and the settings with the limits."""
        self._app = app
        self._hosts = own_hosts(settings)
        self._usual = BodyLimit(settings.body_limit_bytes, settings.request_timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        check_headers(scope)
        if CALLER not in scope:  # The in-process transport has no host to be confused about.
            check_host(header_values(scope, b"host"), self._hosts)
        larger = LARGER.get((scope["method"], scope["path"]), self._usual)
        limit = BodyLimit(max(larger.bytes, self._usual.bytes), max(larger.seconds, self._usual.seconds))
        check_body(scope, limit.bytes)
        bounded = limited(receive, limit_bytes=limit.bytes, timeout_s=limit.seconds)
        await self._app(scope, bounded, send)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit_bytes} bytes.", next_step="Send it in parts.")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
