"""ASGI as our layers speak it: the types, what they keep in the scope of a request, and how they read its headers.

A layer is an ASGI application around another one and sees HTTP only; ``companyos.server.app`` stacks them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from companyos.core.access import ANONYMOUS, Caller

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class HasScope(Protocol):
    """A request or connection of the framework."""

    @property
    def scope(self) -> Any:  # noqa: ANN401 - one of the framework's typed dictionaries
        """The scope of the connection."""
        ...


CALLER: Final = "companyos.caller"
"""Who asks. The in-process transport of the command line sets it; a request from the network cannot, because a server
builds the scope and puts headers only under ``headers``."""

REQUEST_ID: Final = "companyos.request_id"
PATH: Final = "companyos.path"
"""The path as it was asked; the framework writes another one over ``path`` while it routes."""
CSRF: Final = "companyos.csrf"
"""The token that forms of this session must carry; absent without a session."""
HEAD: Final = "companyos.head"
"""True when a HEAD request is being answered as GET without its body."""


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    """Send a whole answer; its length is added to the headers."""
    # RFC 9110 §8.6: an answer 204 says no length.
    length = [] if status == HTTPStatus.NO_CONTENT else [header("content-length", str(len(body)))]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def scope_of(connection: HasScope) -> Scope:
    """Return the scope of a request of the framework, which has a narrower type for it."""
    return cast("Scope", connection.scope)


def header(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header field as ASGI writes it."""
    return name.encode("latin-1"), value.encode("latin-1")


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return all values of a header field; ``name`` is lower-case."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def header_value(scope: Scope, name: bytes) -> str | None:
    """Return the first value of a header field, or None."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def request_id(scope: Scope) -> str:
    """Return the id of the request; empty before the outermost layer has given it one."""
    return cast("str", scope.get(REQUEST_ID, ""))


def asked_path(scope: Scope) -> str:
    """Return the path as it was asked, percent-decoded."""
    return cast("str", scope.get(PATH, scope["path"]))


def caller_of(scope: Scope) -> Caller:
    """Return who asks, ``ANONYMOUS`` without a credential."""
    return cast("Caller", scope.get(CALLER, ANONYMOUS))


def csrf_of(scope: Scope) -> str | None:
    """Return the form token of the session, or None for a caller without one."""
    return cast("str | None", scope.get(CSRF))


def wants_page(scope: Scope) -> bool:
    """Tell whether a person looks at the answer with a browser, and needs a page instead of a problem document."""
    return "text/html" in (header_value(scope, b"accept") or "")
