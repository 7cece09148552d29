"""Addresses of the Tower: its pages, the stream that keeps them true, and the files that they need."""

from __future__ import annotations

from typing import Final, TypeAlias

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from companyos.core.access import Caller
from companyos.core.errors import NotFound
from companyos.core.sse import EventStream, Streams
from companyos.tower import answers, assets, policy_http, release_http
from companyos.tower.answers import Asked, answer
from companyos.tower.live import Mark
from companyos.tower.projector import Rebuilt
from companyos.tower.query import NOBODY, Query, parse
from companyos.tower.render import page
from companyos.tower.service import Tower

TheCaller: TypeAlias = NamedDependency[Caller]
TheTower: TypeAlias = NamedDependency[Tower]
TheStreams: TypeAlias = NamedDependency[Streams]

_FOR_EVER: Final = "public, max-age=31536000, immutable"


@get("/", media_type=MediaType.HTML, sync_to_thread=True)
def landing_page(request: Asked, caller: TheCaller, tower: TheTower) -> Response[str]:
    """Return the Control Tower: what is wrong, what is moving, and one tile for every service."""
    query = parse(answers.parameters(request))
    view, mark = tower.landing(caller, query)
    frame = answers.frame(
        request,
        caller,
        here="/",
        mark=str(mark),
        stream=query.url(page=query.page).replace("/", "/events", 1),
        searched=query.q or "",
    )
    return answer(request, frame, view.now, lambda: tower.fragments.landing(frame, view))


@get("/services/{name:str}", media_type=MediaType.HTML, sync_to_thread=True)
def service_detail(request: Asked, caller: TheCaller, tower: TheTower, name: FromPath[str]) -> Response[str]:
    """Return what is known of one service, each fact with its source and age."""
    answers.none_but(request)
    view, mark = tower.service(caller, name)
    frame = answers.frame(request, caller, here="/", mark=str(mark), stream="/events")
    domain = Query(domain=view.card.row.domain or NOBODY).url()
    return answer(request, frame, view.now, lambda: page("service.html", frame, view=view, domain_url=domain), view)


@get("/ledger", media_type=MediaType.HTML, sync_to_thread=True)
def ledger_records(request: Asked, caller: TheCaller, tower: TheTower) -> Response[str]:
    """Return the newest records of the ledger as sentences, with the state of their proof."""
    given = answers.none_but(request, "service", "cursor")
    view = tower.ledger(caller, service=given.get("service"), cursor=given.get("cursor"))
    frame = answers.frame(request, caller, here="/ledger")
    return answer(request, frame, view.now, lambda: page("ledger.html", frame, view=view), view)


@get("/events", media_type="text/event-stream", sync_to_thread=False)
def events(
    request: Asked,
    caller: TheCaller,
    tower: TheTower,
    streams: TheStreams,
) -> EventStream:
    """Return the changes of a page as server-sent events, from the mark in ``since`` or ``Last-Event-ID`` on."""
    parameters = answers.parameters(request)
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


routes: Final = (
    landing_page,
    service_detail,
    *release_http.routes,
    *policy_http.routes,
    ledger_records,
    events,
    static_file,
    rebuild_projection,
)
"""What the server serves for the Tower."""
