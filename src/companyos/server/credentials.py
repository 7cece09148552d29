"""What a request brings to prove who it is, read from its headers; and the cookie of a browser session."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from companyos.core.errors import Unauthenticated
from companyos.server.asgi import Scope, header_values

COOKIE: Final = "companyos_session"
_DEVICE_LIMIT: Final = 200


class BearerToken(msgspec.Struct, frozen=True):
    """A token in the ``Authorization`` header (RFC 6750 §2.1)."""

    secret: str

    @property
    def id(self) -> str:
        """The public part ``cos_<id>``, or as much as there is of it; it names the token and proves nothing."""
        return "_".join(self.secret.split("_")[:2])[:80]


class SessionCookie(msgspec.Struct, frozen=True):
    """The cookie of a browser session."""

    secret: str


Credential: TypeAlias = BearerToken | SessionCookie


def credential_of(scope: Scope) -> Credential | None:
    """Return the credential of a request, or None; raise Unauthenticated for one of a kind that we do not take.

    A bearer token goes before a cookie: who sends a token means it, while a browser sends its cookie always.
    """
    authorizations = header_values(scope, b"authorization")
    if len(authorizations) > 1:
        raise Unauthenticated("The request has more than one Authorization header.", next_step="Send one.")
    if authorizations:
        scheme, _, secret = authorizations[0].strip().partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated(
                "The Authorization header is not a bearer token.", next_step="Send `Authorization: Bearer cos_…`."
            )
        return BearerToken(secret.strip())
    for line in header_values(scope, b"cookie"):
        for pair in line.split(";"):
            name, separator, value = pair.strip().partition("=")
            if separator and name == COOKIE:
                return SessionCookie(value)
    return None


def session_cookie(secret: str, *, max_age_s: int, secure: bool) -> str:
    """Return the ``Set-Cookie`` value that opens a session in a browser; scripts cannot read it."""
    flags = "HttpOnly; SameSite=Lax; Secure" if secure else "HttpOnly; SameSite=Lax"
    return f"{COOKIE}={secret}; Path=/; Max-Age={max_age_s}; {flags}"


def no_session_cookie(*, secure: bool) -> str:
    """Return the ``Set-Cookie`` value that makes a browser forget its session."""
    return session_cookie("", max_age_s=0, secure=secure)


def address_of(scope: Scope) -> str | None:
    """Return the address the request came from, or None when it came from within the process."""
    client = scope["client"]
    return client[0] if client else None


def device_of(scope: Scope) -> str | None:
    """Return what the caller claims to be, shortened and printable, or None; it proves nothing."""
    agents = header_values(scope, b"user-agent")
    claimed = "".join(character for character in agents[0] if character.isprintable()) if agents else ""
    return claimed[:_DEVICE_LIMIT] or None
