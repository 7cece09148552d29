"""Addresses of the Tower about policies: the list, one bundle with its next promotion, and one decision."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from companyos.ledger import Journal
from companyos.policy.explaining import Explainer
from companyos.policy.model import Promotion
from companyos.policy.service import Policies
from companyos.tower import answers
from companyos.tower.answers import Asked, answer
from companyos.tower.policy_page import BundlePage
from companyos.tower.policy_pages import PolicyPages, check_stage_shown, sentence
from companyos.tower.policy_replay import Typed, acknowledged
from companyos.tower.policy_stages import bundle_url
from companyos.tower.render import page

_HERE: Final = "/policies"
_HTML: Final = "text/html"
_OK: Final = 200
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409

Difference = Annotated[str, Meta(max_length=320)]


class PromotionForm(msgspec.Struct, frozen=True, kw_only=True):
    """The form of a promotion; the form token beside it is looked at before the form is."""

    stage: Annotated[str, Meta(max_length=20)]
    version: Annotated[str, Meta(max_length=32)]
    reason: Annotated[str, Meta(max_length=2000)] = ""
    acknowledged: list[Difference] | Difference = ""
    """Name and count of each difference that is signed off; one alone comes as a text."""
    without_replay: Annotated[str, Meta(max_length=10)] = ""

    def typed(self) -> Typed:
        """Return what was typed and ticked, or raise InvalidInput."""
        ticked = [self.acknowledged] if isinstance(self.acknowledged, str) else self.acknowledged
        return Typed(
            stage=self.stage,
            version=self.version,
            reason=self.reason,
            acknowledged=acknowledged(value for value in ticked if value),
            without_replay=bool(self.without_replay),
        )


@get("/policies", media_type=MediaType.HTML, sync_to_thread=True)
def policy_list(
    request: Asked,
    caller: NamedDependency[Caller],
    journal: NamedDependency[Journal],
    policies: NamedDependency[Policies],
    explainer: NamedDependency[Explainer],
) -> Response[str]:
    """Return every bundle with what is active in its stages, and what was refused there."""
    answers.none_but(request)
    view = PolicyPages(journal, policies, explainer).listing(caller)
    frame = answers.frame(request, caller, here=_HERE)
    return answer(request, frame, view.now, lambda: page("policies.html", frame, view=view), view)


@get("/policies/decisions", media_type=MediaType.HTML, sync_to_thread=True)
def policy_decision(
    request: Asked,
    caller: NamedDependency[Caller],
    journal: NamedDependency[Journal],
    policies: NamedDependency[Policies],
    explainer: NamedDependency[Explainer],
) -> Response[str]:
    """Return one recorded decision, looked up by its audit id: what came out, why, and what proves it."""
    given = answers.none_but(request, "id")
    view = PolicyPages(journal, policies, explainer).decision(caller, given.get("id", ""))
    if view.fault and _HTML not in request.headers.get("accept", ""):
        raise NotFound(view.fault, next_step="Use the audit_id of an answer.")
    frame = answers.frame(request, caller, here=_HERE)
    status = _NOT_FOUND if view.fault else _OK
    return answer(request, frame, view.now, lambda: page("policy_decision.html", frame, view=view), view, status=status)


@get("/policies/{domain:str}/{service:str}", media_type=MediaType.HTML, sync_to_thread=True)
def policy_detail(
    request: Asked,
    caller: NamedDependency[Caller],
    journal: NamedDependency[Journal],
    policies: NamedDependency[Policies],
    explainer: NamedDependency[Explainer],
    domain: FromPath[str],
    service: FromPath[str],
) -> Response[str]:
    """Return all that is known of a bundle; with ``to`` also what its next promotion to that stage would change."""
    given = answers.none_but(request, "to", "cursor", "done")
    view = PolicyPages(journal, policies, explainer).one(
        caller,
        f"{domain}/{service}",
        to=check_stage_shown(given.get("to")),
        cursor=given.get("cursor"),
        done=given.get("done"),
    )
    return _shown(request, caller, view)


@post(
    "/policies/{domain:str}/{service:str}/promotions",
    media_type=MediaType.HTML,
    status_code=303,
    response_description="Promoted; the page says so.",
    sync_to_thread=True,
)
def promote_policy(
    request: Asked,
    caller: NamedDependency[Caller],
    journal: NamedDependency[Journal],
    policies: NamedDependency[Policies],
    explainer: NamedDependency[Explainer],
    domain: FromPath[str],
    service: FromPath[str],
    data: URLEncodedBody[PromotionForm],
) -> Response[Any]:
    """Promote a version and go back to the page of its bundle.

    What stands against it gives the page again, with all of it, and the form as it was filled in.
    """
    bundle_id, pages = f"{domain}/{service}", PolicyPages(journal, policies, explainer)
    typed = data.typed()
    told: Promotion | str
    status = _CONFLICT
    try:
        told = pages.promote(caller, bundle_id, typed)
    except (Conflict, InvalidInput, Unavailable) as fault:
        if _HTML not in request.headers.get("accept", "") or check_stage_shown(typed.stage) is None:
            raise
        told, status = sentence(fault), fault.status
    if isinstance(told, str) or told.outcome == "blocked":
        if isinstance(told, Promotion) and _HTML not in request.headers.get("accept", ""):
            first = told.blocks[0]
            raise Conflict(f"{told.sentence} {first.sentence}", next_step=first.next_step)
        view = pages.one(caller, bundle_id, refused=(typed, told))
        return _shown(request, caller, view, status=status)
    return Response(None, status_code=303, headers={"location": f"{bundle_url(bundle_id)}?done={told.stage}"})


routes: Final = (policy_list, policy_decision, policy_detail, promote_policy)
"""What the Tower serves about policies."""


def _shown(request: Asked, caller: Caller, view: BundlePage, *, status: int = _OK) -> Response[Any]:
    frame = answers.frame(request, caller, here=_HERE)
    return answer(request, frame, view.now, lambda: page("policy.html", frame, view=view), view, status=status)
