"""Bare ASGI applications beside the framework, for addresses where every microsecond or every byte counts.

The framework hands a mounted application each method and each path below it, without any limit and without a line in
the OpenAPI document. ``bare`` gives back what is lost: one method, the exact path, limits of its own, and an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import ASGIRouteHandler, asgi

from companyos.core.errors import MethodNotAllowed, NotFound
from companyos.server.asgi import App, Receive, Scope, Send, asked_path
from companyos.server.limits import check_body, limited

ENTRY: Final = "companyos.openapi"
"""The key of the route's ``opt`` that holds its ``Bare``."""


class Bare(msgspec.Struct, frozen=True, kw_only=True):
    """What the OpenAPI document says about a bare application."""

    path: str
    method: str
    operation: Mapping[str, Any]
    """An OpenAPI operation object; problems are added to its responses like everywhere."""


def bare(
    path: str,
    method: str,
    app: App,
    *,
    limit_bytes: int,
    timeout_s: float,
    openapi: Mapping[str, Any],
    is_mount: bool = True,
) -> ASGIRouteHandler:
    """Return a route that gives ``app`` exactly ``method path``, with a body within these limits.

    ``openapi`` is its operation object. Other methods raise MethodNotAllowed, other paths NotFound. The framework takes
    a mount for every path that begins like it; say ``is_mount=False`` where another route does.
    """

    @asgi(path, is_mount=is_mount, copy_scope=True, opt={ENTRY: Bare(path=path, method=method, operation=openapi)})
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if asked_path(scope) != path:
            raise NotFound("There is nothing at this address.", next_step="See /schema for all addresses.")
        if scope["method"] != method:
            raise MethodNotAllowed("This address does not take this method.", next_step=f"Use {method}.")
        check_body(scope, limit_bytes)
        await app(scope, limited(receive, limit_bytes=limit_bytes, timeout_s=timeout_s), send)

    return guarded


def bare_entries(app: Litestar) -> list[Bare]:
    """Return what the bare applications of an application say about themselves."""
    handlers = (getattr(route, "route_handler", None) for route in app.routes)
    return [handler.opt[ENTRY] for handler in handlers if handler is not None and ENTRY in handler.opt]


async def read_body(receive: Receive) -> bytes:
    """Return the whole body; the limits are those of ``receive``. Empty when the peer has left."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        body += message["body"]
        more = message.get("more_body", False)
    return bytes(body)
