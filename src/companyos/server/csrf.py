"""Whether a request that a browser sends with its cookie comes from our own page.

Two independent proofs are asked for: the browser's own word (``Sec-Fetch-Site``, ``Origin``) and the token that only
our pages know. A bearer token needs neither, because no other site can make a browser send it.
"""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import parse_qs, urlsplit

from companyos.server.asgi import Message, Receive, Scope, asked_path, header_value
from companyos.server.errors import CrossSite

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
FIELD: Final = "csrf"
HEADER: Final = b"x-csrf-token"
FORM: Final = "application/x-www-form-urlencoded"

_FIELDS_LIMIT: Final = 200


def is_same_origin(scope: Scope, public_url: str) -> bool:
    """Tell whether the browser says that our own page sent this; False when it says nothing at all.

    ``public_url`` is the address in front of a proxy, where the Host header may be another one; it may be empty.
    """
    site = header_value(scope, b"sec-fetch-site")
    origin = header_value(scope, b"origin")
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return site == "same-origin"
    sent = urlsplit(origin)
    own = {(scope["scheme"], header_value(scope, b"host"))}
    if public_url:
        public = urlsplit(public_url)
        own.add((public.scheme, public.netloc))
    return (sent.scheme, sent.netloc) in own


def check_origin(scope: Scope, public_url: str) -> None:
    """Return when our own page sent this, or raise CrossSite."""
    if not is_same_origin(scope, public_url):
        raise _cross_site(scope, "The request does not come from a page of this server.")


def check_token(scope: Scope, given: str | None, expected: str) -> None:
    """Return when the token is that of the session, or raise CrossSite."""
    if given is None or not hmac.compare_digest(given.encode(), expected.encode()):
        raise _cross_site(scope, "The request lacks the token of this session.")


async def given_token(scope: Scope, receive: Receive) -> tuple[str | None, Receive]:
    """Return the token that came in the header or in the form, and a ``receive`` from which the body can still be read.

    Only a form is read here, under the limits that ``receive`` already has.
    """
    if (from_header := header_value(scope, HEADER)) is not None:
        return from_header, receive
    if (header_value(scope, b"content-type") or "").partition(";")[0].strip().lower() != FORM:
        return None, receive
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":  # the peer has left
            break
        body += message["body"]
        more = message.get("more_body", False)
    return _field(bytes(body)), _replayed(bytes(body), receive)


def _field(body: bytes) -> str | None:
    try:
        values = parse_qs(body.decode(), max_num_fields=_FIELDS_LIMIT).get(FIELD, [])
    except ValueError:
        return None
    return values[0] if len(values) == 1 else None


def _replayed(body: bytes, receive: Receive) -> Receive:
    event: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> Message:
        nonlocal event
        if event is None:
            return await receive()
        first, event = event, None
        return first

    return replay


def _cross_site(scope: Scope, detail: str) -> CrossSite:
    return CrossSite(
        detail,
        next_step="Open the page again and send its form from there.",
        action="session.use",
        resource=asked_path(scope),
        policy="csrf:same-origin",
    )
