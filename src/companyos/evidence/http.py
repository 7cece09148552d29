"""The HTTP face of evidence: artifacts, their signatures and denials, attestations.

The body of an artifact is larger than other bodies may be: ``server.limits`` knows its address.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from litestar import Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter, RawBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from companyos.core import dsse
from companyos.core.access import Caller
from companyos.core.errors import IntegrityFault, UnsupportedMediaType
from companyos.core.fields import Sentence
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from companyos.evidence.model import Artifact, ArtifactView, Commit, Denial, Invalid, Signed, Verified
from companyos.evidence.service import MAX_COMMITS, Evidence

MEDIA_TYPE: Final = "application/x-tar"

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
DigestText = Annotated[str, PathParameter(max_length=71, description="sha256: and 64 hexadecimal digits.")]


class Denying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an artifact must not be deployed again."""

    reason: Sentence


class Lift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a denial is lifted."""

    reason: Sentence


class CommitList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is new in an artifact, newest first."""

    commits: Annotated[list[Commit], Meta(max_length=MAX_COMMITS)]


class EnvelopeSignature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature of a DSSE envelope; ``sig`` is base64."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A DSSE envelope; its JSON is canonical, so its SHA-256 is the digest that was asked for."""

    payload: str
    payload_type: str
    signatures: list[EnvelopeSignature]


@dataclass
class ArtifactOperation(Operation):
    """Says in the OpenAPI document that the body is a tar."""

    def __post_init__(self) -> None:
        """Describe the body, which the handler reads by itself."""
        tar = Schema(
            type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description="What `companyos ship` packs of a commit."
        )
        self.request_body = RequestBody(content={MEDIA_TYPE: OpenAPIMediaType(schema=tar)}, required=True)


@get("/artifacts", sync_to_thread=True)
def list_artifacts(
    caller: NamedDependency[Caller],
    evidence: NamedDependency[Evidence],
    service: Annotated[str | None, QueryParameter(max_length=39)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Artifact]:
    """List artifacts, newest first."""
    return evidence.list_artifacts(caller, service=service, cursor=cursor, limit=limit)


@post("/artifacts", sync_to_thread=True, operation_class=ArtifactOperation)
def put_artifact(
    caller: NamedDependency[Caller],
    evidence: NamedDependency[Evidence],
    body: RawBody,
    content_type: Annotated[str, HeaderParameter(name="Content-Type", max_length=200)] = MEDIA_TYPE,
) -> Artifact:
    """Store an artifact; the same again changes nothing."""
    given = content_type.partition(";")[0].strip().lower()
    if given != MEDIA_TYPE:
        raise UnsupportedMediaType(
            f"An artifact cannot be {given[:60]!r}.", next_step=f"Send `Content-Type: {MEDIA_TYPE}`."
        )
    return evidence.put_artifact(caller, body)


@get("/artifacts/{digest:str}", sync_to_thread=True)
def get_artifact(
    caller: NamedDependency[Caller], evidence: NamedDependency[Evidence], digest: DigestText
) -> ArtifactView:
    """Show an artifact with its signature, checked now, and its denial."""
    return evidence.get_artifact(caller, digest)


@put("/artifacts/{digest:str}/commits", sync_to_thread=True)
def set_commits(
    caller: NamedDependency[Caller],
    evidence: NamedDependency[Evidence],
    digest: DigestText,
    data: JSONBody[CommitList],
) -> Artifact:
    """Say which commits are new in an artifact, for changelogs."""
    return evidence.set_commits(caller, digest, data.commits)


@post("/artifacts/{digest:str}/signature", status_code=200, sync_to_thread=True)
def sign_artifact(caller: NamedDependency[Caller], evidence: NamedDependency[Evidence], digest: DigestText) -> Signed:
    """Sign where an artifact comes from; one that is signed is not signed again."""
    artifact = evidence.sign_artifact(caller, digest)
    signature = evidence.signature_of(digest)
    if artifact.envelope_digest is None or not isinstance(signature, Verified):
        why = signature.reason if isinstance(signature, Invalid) else "it is gone."
        raise IntegrityFault(f"The new signature does not hold: {why}", next_step="Run: companyos doctor")
    return Signed(digest=digest, envelope_digest=artifact.envelope_digest, key_id=signature.key_id, at=signature.at)


@post("/artifacts/{digest:str}/denial", status_code=200, sync_to_thread=True)
def deny_artifact(
    caller: NamedDependency[Caller], evidence: NamedDependency[Evidence], digest: DigestText, data: JSONBody[Denying]
) -> Denial:
    """Let an artifact not be deployed again; one that is denied already keeps its reason."""
    return evidence.deny(caller, digest, data.reason)


@delete("/artifacts/{digest:str}/denial", status_code=204, sync_to_thread=True)
def lift_denial(
    caller: NamedDependency[Caller], evidence: NamedDependency[Evidence], digest: DigestText, data: JSONBody[Lift]
) -> None:
    """Let a denied artifact be deployed again."""
    evidence.lift_denial(caller, digest, data.reason)


@get("/attestations/{digest:str}", sync_to_thread=True)
def get_attestation(
    caller: NamedDependency[Caller], evidence: NamedDependency[Evidence], digest: DigestText
) -> Envelope:
    """Show the DSSE envelope of a signed Statement: provenance of an artifact, or what became of a release."""
    held = dsse.decode(evidence.attestation(caller, digest))
    return Envelope(
        payload=_base64(held.payload),
        payload_type=held.payload_type,
        signatures=[EnvelopeSignature(keyid=one.keyid, sig=_base64(one.sig)) for one in held.signatures],
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api",
        tags=["evidence"],
        route_handlers=[
            list_artifacts,
            put_artifact,
            get_artifact,
            set_commits,
            sign_artifact,
            deny_artifact,
            lift_denial,
            get_attestation,
        ],
    ),
)
