"""Addresses of the Tower: its pages, the stream that keeps them true, and the files that they need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias, cast
from urllib.parse import parse_qsl

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from companyos.core.access import Caller, require
from companyos.core.errors import Denied, InvalidInput, NotFound
from companyos.core.sse import EventStream, Streams
from companyos.tower import assets
from companyos.tower.live import Mark
from companyos.tower.projector import Rebuilt
from companyos.tower.query import NOBODY, Query, parse
from companyos.tower.render import THEMES, Frame, NavItem, page
from companyos.tower.service import Tower

Asked: TypeAlias = Request[Any, Any, Any]
TheCaller: TypeAlias = NamedDependency[Caller]
TheTower: TypeAlias = NamedDependency[Tower]
TheStreams: TypeAlias = NamedDependency[Streams]

THEME_COOKIE: Final = "companyos_theme"
NAVIGATION: Final = (NavItem("Tower", "/", "tower.read"), NavItem("Ledger", "/ledger", "ledger.verify"))
"""Asking for a ``….read`` would count as one, and nobody has read the ledger by seeing a link to it."""

_CSRF: Final = "companyos.csrf"
"""Where the server keeps the form token of a session in the scope of its requests."""
_FIELDS_LIMIT: Final = 40
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_HTML: Final = "text/html"


@get("/", media_type=MediaType.HTML, sync_to_thread=True)
def landing_page(request: Asked, caller: TheCaller, tower: TheTower) -> Response[str]:
    """Return the Control Tower: what is wrong, what is moving, and one tile for every service."""
    query = parse(_parameters(request))
    view, mark = tower.landing(caller, query)
    frame = _frame(
        request,
        caller,
        here="/",
        mark=str(mark),
        stream=query.url(page=query.page).replace("/", "/events", 1),
        searched=query.q or "",
    )
    return _answer(request, frame, view.now, lambda: tower.fragments.landing(frame, view))


@get("/services/{name:str}", media_type=MediaType.HTML, sync_to_thread=True)
def service_detail(request: Asked, caller: TheCaller, tower: TheTower, name: FromPath[str]) -> Response[str]:
    """Return what is known of one service, each fact with its source and age."""
    _none_but(request)
    view, mark = tower.service(caller, name)
    frame = _frame(request, caller, here="/", mark=str(mark), stream="/events")
    domain = Query(domain=view.card.row.domain or NOBODY).url()
    return _answer(request, frame, view.now, lambda: page("service.html", frame, view=view, domain_url=domain), view)


@get("/ledger", media_type=MediaType.HTML, sync_to_thread=True)
def ledger_records(request: Asked, caller: TheCaller, tower: TheTower) -> Response[str]:
    """Return the newest records of the ledger as sentences, with the state of their proof."""
    given = _none_but(request, "service", "cursor")
    view = tower.ledger(caller, service=given.get("service"), cursor=given.get("cursor"))
    frame = _frame(request, caller, here="/ledger")
    return _answer(request, frame, view.now, lambda: page("ledger.html", frame, view=view), view)


@get("/events", media_type="text/event-stream", sync_to_thread=False)
def events(
    request: Asked,
    caller: TheCaller,
    tower: TheTower,
    streams: TheStreams,
) -> EventStream:
    """Return the changes of a page as server-sent events, from the mark in ``since`` or ``Last-Event-ID`` on."""
    parameters = _parameters(request)
    since = [value for name, value in parameters if name == "since"]
    query = parse([(name, value) for name, value in parameters if name != "since"])
    mark = Mark.parse(request.headers.get("last-event-id") or (since[-1] if since else ""))
    return streams.stream(caller.subject, tower.events(caller, query, mark))


@post("/api/tower/rebuild", status_code=200, sync_to_thread=True)
def rebuild_projection(caller: TheCaller, tower: TheTower) -> Rebuilt:
    """Project every service anew from the catalog and operations, and say what was different."""
    return tower.projector.rebuild(caller)


@get("/static/{name:str}", media_type="application/octet-stream", sync_to_thread=False, opt={"public": True})
def static_file(name: FromPath[str]) -> Response[bytes]:
    """Return a file of the pages; its name holds the digest of its content, so it may be kept for ever."""
    asset = assets.by_path().get(assets.FOLDER + name)
    if asset is None:
        raise NotFound("There is no such file.", next_step="Load the page anew: it names its files.")
    return Response(asset.content, media_type=asset.media_type, headers={"cache-control": _FOR_EVER})


routes: Final = (landing_page, service_detail, ledger_records, events, static_file, rebuild_projection)
"""What the server serves for the Tower."""


def _parameters(request: Asked) -> list[tuple[str, str]]:
    text = request.scope["query_string"]
    try:
        return parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_LIMIT, errors="strict")
    except ValueError as fault:
        raise InvalidInput("The address has a query that cannot be read.", next_step="Start again at /.") from fault


def _none_but(request: Asked, *known: str) -> dict[str, str]:
    """Return the parameters of the address without empty ones, or raise InvalidInput for one that is not known."""
    given = dict(_parameters(request))
    if unknown := sorted(given.keys() - set(known)):
        takes = f"It takes {', '.join(known)}." if known else "It takes none."
        raise InvalidInput(f"This page knows no parameter {unknown[0][:40]!r}.", next_step=takes, field=unknown[0][:40])
    return {name: value for name, value in given.items() if value}


def _frame(request: Asked, caller: Caller, **values: Any) -> Frame:  # noqa: ANN401 - fields of Frame
    wanted = request.cookies.get(THEME_COOKIE)
    return Frame(
        subject=caller.subject,
        nav=tuple(item for item in NAVIGATION if _may(caller, item.action, item.url)),
        csrf=cast("str | None", request.scope.get(_CSRF)),
        theme=next((theme for theme in THEMES if theme == wanted), "auto"),
        **values,
    )


def _may(caller: Caller, action: str, resource: str) -> bool:
    try:
        require(caller, action, resource)
    except Denied:
        return False
    return True


def _answer(
    request: Asked, frame: Frame, now: datetime, render: Callable[[], str], *shown: msgspec.Struct
) -> Response[Any]:
    """Return the page, or 304 when the caller has just this one: same data, same minute, same reader, same files."""
    known_by = msgspec.json.encode(
        (str(request.url), frame, int(now.timestamp()) // 60, assets.digest(), *map(_undated, shown))
    )
    etag = f'W/"{hashlib.sha256(known_by).hexdigest()[:20]}"'
    headers = {"etag": etag, "vary": "cookie, accept-encoding"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(None, status_code=304, headers=headers, media_type=_HTML)
    return Response(render(), headers=headers, media_type=_HTML)


def _undated(view: msgspec.Struct) -> msgspec.Struct:
    """Return the view without its moment, which is different at each request."""
    return msgspec.structs.replace(view, now=None)
