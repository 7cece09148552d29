"""The HTTP face of bundles: published, promoted, taken back, looked at, and fetched by whoever decides with them.

The body of a bundle is larger than other bodies may be: ``server.limits`` knows the addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromQuery, HeaderParameter, JSONBody, PathParameter, QueryParameter, RawBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.errors import UnsupportedMediaType
from companyos.core.fields import Sentence
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from companyos.policy.explaining import Explainer, Explanation
from companyos.policy.log_http import erase_decisions, verify_decisions
from companyos.policy.model import Activation, Promotion, Published, SignedBundle, Stage, StageStatus
from companyos.policy.promoting import MAX_ACKNOWLEDGED, Order
from companyos.policy.service import Policies

MEDIA_TYPE: Final = "application/gzip"
NOT_MODIFIED: Final = 304

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
Domain = Annotated[str, PathParameter(max_length=40, description="The first part of the bundle's id.")]
Service = Annotated[str, PathParameter(max_length=40, description="The second part of the bundle's id.")]
VersionText = Annotated[str, PathParameter(max_length=32, description="For example 1.4.0.")]
BundleIdText = Annotated[str, Meta(min_length=3, max_length=81, description="<domain>/<service>")]
VersionField = Annotated[str, Meta(min_length=5, max_length=32, description="For example 1.4.0.")]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
FlipName = Annotated[str, Meta(min_length=1, max_length=300)]


class NewPromotion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version shall be active where, and what the caller signs off."""

    bundle_id: BundleIdText
    version: VersionField
    stage: Stage
    reason: Sentence
    acknowledged: Annotated[dict[FlipName, Count], Meta(max_length=MAX_ACKNOWLEDGED)] = {}
    without_replay: bool = False
    dry_run: bool = False


class NewRollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to go back, and to which version; one step down when none is named."""

    bundle_id: BundleIdText
    stage: Stage
    reason: Sentence
    version: VersionField | None = None


class NewRenewal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be signed anew."""

    bundle_id: BundleIdText
    stage: Stage
    reason: Sentence


@dataclass
class BundleOperation(Operation):
    """Says in the OpenAPI document that the body is a bundle."""

    def __post_init__(self) -> None:
        """Describe the body, which the handler reads by itself."""
        bundle = Schema(
            type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description="What `companyos policy build` writes."
        )
        self.request_body = RequestBody(content={MEDIA_TYPE: OpenAPIMediaType(schema=bundle)}, required=True)


ContentType = Annotated[str, HeaderParameter(name="Content-Type", max_length=200)]


@get("/stages", sync_to_thread=True)
def list_stages(caller: NamedDependency[Caller], policies: NamedDependency[Policies]) -> list[StageStatus]:
    """Show what is active in every stage of every bundle, and what failed to become active there."""
    return policies.list_stages(caller)


@get("/bundles", sync_to_thread=True)
def list_bundles(
    caller: NamedDependency[Caller],
    policies: NamedDependency[Policies],
    bundle_id: Annotated[str | None, QueryParameter(max_length=81)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Published]:
    """List published versions, newest first."""
    return policies.list_published(caller, bundle_id=bundle_id, cursor=cursor, limit=limit)


@post("/bundles", sync_to_thread=True, operation_class=BundleOperation)
def publish_bundle(
    caller: NamedDependency[Caller],
    policies: NamedDependency[Policies],
    body: RawBody,
    content_type: ContentType = MEDIA_TYPE,
) -> Published:
    """Publish a bundle that is signed for dev, and run its tests; the same again changes nothing."""
    _check_type(content_type)
    return policies.publish(caller, body)


@post(
    "/signatures",
    status_code=200,
    sync_to_thread=True,
    operation_class=BundleOperation,
)
def sign_bundle(
    caller: NamedDependency[Caller],
    policies: NamedDependency[Policies],
    body: RawBody,
    stage: FromQuery[Stage] = "dev",
    content_type: ContentType = MEDIA_TYPE,
) -> SignedBundle:
    """Sign a built bundle for a stage; beyond dev only what is active there."""
    _check_type(content_type)
    return policies.sign(caller, body, stage)


@get("/bundles/{domain:str}/{service:str}/{version:str}", sync_to_thread=True)
def get_bundle(
    caller: NamedDependency[Caller],
    policies: NamedDependency[Policies],
    domain: Domain,
    service: Service,
    version: VersionText,
) -> Published:
    """Show a published version with what its tests say."""
    return policies.get_published(caller, f"{domain}/{service}", version)


@get("/history/{domain:str}/{service:str}", sync_to_thread=True)
def get_history(
    caller: NamedDependency[Caller],
    policies: NamedDependency[Policies],
    domain: Domain,
    service: Service,
    stage: FromQuery[Stage | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Activation]:
    """List what became active, newest first, with its replay and who signed what off."""
    return policies.history(caller, f"{domain}/{service}", stage=stage, cursor=cursor, limit=limit)


@post("/promotions", status_code=200, sync_to_thread=True)
def promote(
    caller: NamedDependency[Caller], policies: NamedDependency[Policies], data: JSONBody[NewPromotion]
) -> Promotion:
    """Promote a version, or say everything that stands against it; `outcome` tells which. A dry run changes nothing."""
    order = Order(
        bundle_id=data.bundle_id,
        version=data.version,
        stage=data.stage,
        reason=data.reason,
        acknowledged=data.acknowledged,
        without_replay=data.without_replay,
    )
    return policies.promote(caller, order, dry_run=data.dry_run)


@post("/rollbacks", sync_to_thread=True)
def roll_back(
    caller: NamedDependency[Caller], policies: NamedDependency[Policies], data: JSONBody[NewRollback]
) -> Activation:
    """Go back to a lower version that was active in the stage before; it never goes up."""
    return policies.roll_back(caller, data.bundle_id, data.stage, version=data.version, reason=data.reason)


@post("/renewals", sync_to_thread=True)
def renew(
    caller: NamedDependency[Caller], policies: NamedDependency[Policies], data: JSONBody[NewRenewal]
) -> Activation:
    """Sign what is active anew, after the key of its stage was rotated."""
    return policies.renew(caller, data.bundle_id, data.stage, reason=data.reason)


@get("/decisions/{audit_id:str}", sync_to_thread=True)
def explain(
    caller: NamedDependency[Caller],
    explainer: NamedDependency[Explainer],
    audit_id: Annotated[str, PathParameter(max_length=36)],
) -> Explanation:
    """Say why a decision came out as it did: its record, and the rules that took part."""
    return explainer.explain(caller, audit_id)


@get(
    "/v1/bundles/{domain:str}/{service:str}",
    tags=["policy"],
    sync_to_thread=True,
    media_type=MEDIA_TYPE,
    responses={
        200: ResponseSpec(bytes, media_type=MEDIA_TYPE, description="The bundle that is active in the stage."),
        NOT_MODIFIED: ResponseSpec(None, description="The caller has it already."),
    },
)
def fetch_bundle(
    caller: NamedDependency[Caller],
    policies: NamedDependency[Policies],
    domain: Domain,
    service: Service,
    stage: FromQuery[Stage] = "prod",
    if_none_match: Annotated[str | None, HeaderParameter(name="If-None-Match", max_length=1000)] = None,
) -> Response[Any]:
    """Fetch the bundle that is active in a stage; its ETag is its digest."""
    known = _digest_in(if_none_match)
    data, digest = policies.fetch(caller, f"{domain}/{service}", stage, unless=known)
    headers = {"etag": f'"{digest}"', "cache-control": "private, no-cache"}
    if digest == known:
        return Response(b"", status_code=NOT_MODIFIED, headers=headers, media_type=MEDIA_TYPE)
    return Response(data, headers=headers, media_type=MEDIA_TYPE)


def _digest_in(if_none_match: str | None) -> str | None:
    """Return the digest that the caller has, None when it names none, or several: then it gets the bytes."""
    text = (if_none_match or "").strip().removeprefix("W/")
    return text[1:-1] if text.startswith('"sha256:') and text.endswith('"') and text.count('"') == len('""') else None


def _check_type(content_type: str) -> None:
    given = content_type.partition(";")[0].strip().lower()
    if given != MEDIA_TYPE:
        raise UnsupportedMediaType(
            f"A bundle cannot be {given[:60]!r}.", next_step=f"Send `Content-Type: {MEDIA_TYPE}`."
        )


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api/policy",
        tags=["policy"],
        route_handlers=[
            list_stages,
            list_bundles,
            publish_bundle,
            sign_bundle,
            get_bundle,
            get_history,
            promote,
            roll_back,
            renew,
            explain,
            verify_decisions,
            erase_decisions,
        ],
    ),
    fetch_bundle,
)
