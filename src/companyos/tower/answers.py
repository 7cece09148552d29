"""What every page of the Tower answers with: its frame, its parameters, and 304 for what the reader has already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias, cast
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response

from companyos.core.access import Caller, require
from companyos.core.errors import Denied, InvalidInput
from companyos.tower import assets
from companyos.tower.render import THEMES, Frame, NavItem

Asked: TypeAlias = Request[Any, Any, Any]

THEME_COOKIE: Final = "companyos_theme"
NAVIGATION: Final = (
    NavItem("Tower", "/", "tower.read"),
    NavItem("Releases", "/releases", "release.read"),
    NavItem("Policies", "/policies", "policy.read"),
    NavItem("Ledger", "/ledger", "ledger.verify"),
)
"""Asking for ``ledger.read`` would count as one, and nobody has read the ledger by seeing a link to it."""

_CSRF: Final = "companyos.csrf"
"""Where the server keeps the form token of a session in the scope of its requests."""
_FIELDS_LIMIT: Final = 40
_HTML: Final = "text/html"


def parameters(request: Asked) -> list[tuple[str, str]]:
    """Return the parameters of an address in their order, or raise InvalidInput when they cannot be read."""
    text = request.scope["query_string"]
    try:
        return parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_LIMIT, errors="strict")
    except ValueError as fault:
        raise InvalidInput("The address has a query that cannot be read.", next_step="Start again at /.") from fault


def none_but(request: Asked, *known: str) -> dict[str, str]:
    """Return the parameters of the address without empty ones, or raise InvalidInput for one that is not known."""
    given = dict(parameters(request))
    if unknown := sorted(given.keys() - set(known)):
        takes = f"It takes {', '.join(known)}." if known else "It takes none."
        raise InvalidInput(f"This page knows no parameter {unknown[0][:40]!r}.", next_step=takes, field=unknown[0][:40])
    return {name: value for name, value in given.items() if value}


def frame(request: Asked, caller: Caller, **values: Any) -> Frame:  # noqa: ANN401 - fields of Frame
    """Return what surrounds a page for this reader."""
    wanted = request.cookies.get(THEME_COOKIE)
    return Frame(
        subject=caller.subject,
        nav=tuple(item for item in NAVIGATION if _may(caller, item.action, item.url)),
        csrf=cast("str | None", request.scope.get(_CSRF)),
        theme=next((theme for theme in THEMES if theme == wanted), "auto"),
        **values,
    )


def answer(
    request: Asked, frame: Frame, now: datetime, render: Callable[[], str], *shown: msgspec.Struct, status: int = 200
) -> Response[Any]:
    """Return the page, or 304 when the caller has just this one: same data, same minute, same reader, same files."""
    known_by = msgspec.json.encode(
        (str(request.url), _timeless(frame), int(now.timestamp()) // 60, assets.digest(), *map(_undated, shown))
    )
    etag = f'W/"{hashlib.sha256(known_by).hexdigest()[:20]}"'
    headers = {"etag": etag, "vary": "cookie, accept-encoding"}
    if status == 200 and etag in request.headers.get("if-none-match", ""):  # noqa: PLR2004 - RFC 9110, OK
        return Response(None, status_code=304, headers=headers, media_type=_HTML)
    return Response(render(), status_code=status, headers=headers, media_type=_HTML)


def _may(caller: Caller, action: str, resource: str) -> bool:
    try:
        require(caller, action, resource)
    except Denied:
        return False
    return True


def _timeless(frame: Frame) -> Frame:
    """Return the frame without its moment, which is different at each request."""
    return msgspec.structs.replace(frame, at=None)


def _undated(view: msgspec.Struct) -> msgspec.Struct:
    """Return the view without its moment, which is different at each request."""
    return msgspec.structs.replace(view, now=None)
