"""Addresses of the Tower about releases: the list, one release, and what a person asks of it with a form."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.errors import CompanyOSError, Conflict, InvalidInput
from companyos.tower import answers
from companyos.tower.answers import Asked, answer
from companyos.tower.release_page import ReleasePage
from companyos.tower.releases import read_query
from companyos.tower.render import page, release_url
from companyos.tower.service import Tower

_HERE: Final = "/releases"
_HTML: Final = "text/html"
_CONFLICT: Final = 409
_BAD_REQUEST: Final = 400


class CommandForm(msgspec.Struct, frozen=True, kw_only=True):
    """The form of a command; the form token beside it is looked at before the form is."""

    kind: Annotated[str, Meta(max_length=40)]
    reason: Annotated[str, Meta(max_length=2000)] = ""


@get("/releases", media_type=MediaType.HTML, sync_to_thread=True)
def release_list(request: Asked, caller: NamedDependency[Caller], tower: NamedDependency[Tower]) -> Response[str]:
    """Return the releases in flight with their ladders, and below them those that have ended, newest first."""
    query = read_query(answers.none_but(request, "service", "outcome", "cursor"))
    view = tower.releases.listing(caller, query)
    frame = answers.frame(request, caller, here=_HERE, at=view.now, follows=query.url(cursor=query.cursor))
    return answer(request, frame, view.now, lambda: page("releases.html", frame, view=view), view)


@get("/releases/{id:str}", media_type=MediaType.HTML, sync_to_thread=True)
def release_detail(
    request: Asked, caller: NamedDependency[Caller], tower: NamedDependency[Tower], id: FromPath[str]
) -> Response[str]:
    """Return all that is known of a release, with the forms for what this reader may ask of it."""
    given = answers.none_but(request, "asked")
    return _shown(request, caller, tower.releases.one(caller, id, asked=given.get("asked")))


@post(
    "/releases/{id:str}/commands",
    media_type=MediaType.HTML,
    status_code=303,
    response_description="Written down; the page says so.",
    sync_to_thread=True,
)
def ask_of_release(
    request: Asked,
    caller: NamedDependency[Caller],
    tower: NamedDependency[Tower],
    id: FromPath[str],
    data: URLEncodedBody[CommandForm],
) -> Response[Any]:
    """Write down what a person asks of a release and go back to its page.

    What makes no sense (any more) gives the page again, with the sentence that says why and the reason as it was typed.
    """
    try:
        tower.releases.ask(caller, id, data.kind, data.reason)
    except (Conflict, InvalidInput) as fault:
        if _HTML not in request.headers.get("accept", ""):
            raise
        view = tower.releases.one(caller, id, refused=(data.kind, data.reason, _sentence(fault)))
        return _shown(request, caller, view, status=_CONFLICT if isinstance(fault, Conflict) else _BAD_REQUEST)
    return Response(None, status_code=303, headers={"location": f"{release_url(id)}?asked={data.kind}"})


routes: Final = (release_list, release_detail, ask_of_release)
"""What the Tower serves about releases."""


def _shown(request: Asked, caller: Caller, view: ReleasePage, *, status: int = 200) -> Response[Any]:
    frame = answers.frame(request, caller, here=_HERE, at=view.now, follows=release_url(view.release.id))
    return answer(request, frame, view.now, lambda: page("release.html", frame, view=view), view, status=status)


def _sentence(fault: CompanyOSError) -> str:
    return f"{fault.detail} {fault.next_step or ''}".strip()
