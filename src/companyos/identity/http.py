"""The HTTP face of identity: tokens, subjects and login codes. The pages of signing in belong to the server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.fields import Line, Name
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from companyos.identity import directory_http
from companyos.identity.document import Email, PlaceId
from companyos.identity.model import (
    IssuedToken,
    LoginCode,
    Role,
    RoleBinding,
    Subject,
    SubjectStatus,
    SubjectType,
    Token,
)
from companyos.identity.service import DEFAULT_TTL_S, MAX_TTL_S, MIN_TTL_S, Identity

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
Id = Annotated[str, PathParameter(max_length=80)]


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it takes to issue a token."""

    name: Name
    roles: Annotated[list[Role], Meta(max_length=16)] = []
    type: SubjectType = "service"
    ttl_s: Annotated[int, Meta(ge=MIN_TTL_S, le=MAX_TTL_S)] = DEFAULT_TTL_S
    label: Line = ""


class NewSubject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it takes to make a subject."""

    name: Name
    type: SubjectType = "user"
    display_name: Line | None = None
    email: Email | None = None
    org_id: PlaceId | None = None
    workspace_id: PlaceId | None = None


class RoleGrant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role that a subject shall have everywhere, for good or until a moment."""

    role: Name
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class SubjectChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different; a part that is left out stays as it is, and ``roles`` is the whole set."""

    status: SubjectStatus | None = None
    org_id: PlaceId | msgspec.UnsetType | None = msgspec.UNSET
    workspace_id: PlaceId | msgspec.UnsetType | None = msgspec.UNSET
    roles: Annotated[list[RoleGrant], Meta(max_length=16)] | None = None


class NewLoginCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to sign in; the caller itself when left out."""

    user: Name | None = None


class LoginLink(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code, and the path that takes it."""

    code: str
    path: str
    public_url: str
    """The address that people use, from the setting of that name; empty when it is not set."""
    subject: str
    expires_at: datetime


@post("/tokens", sync_to_thread=True)
def issue_token(
    caller: NamedDependency[Caller], identity: NamedDependency[Identity], data: JSONBody[NewToken]
) -> IssuedToken:
    """Issue a token for a subject, which is made when it is missing. The secret is in this answer and nowhere else."""
    return identity.issue_token(caller, data.name, roles=data.roles, type=data.type, ttl_s=data.ttl_s, label=data.label)


@get("/tokens", sync_to_thread=True)
def list_tokens(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    subject_id: Annotated[str | None, QueryParameter(max_length=36)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Token]:
    """List tokens, oldest first, without their secrets."""
    return identity.list_tokens(caller, subject_id=subject_id, cursor=cursor, limit=limit)


@delete("/tokens/{id:str}", sync_to_thread=True)
def revoke_token(caller: NamedDependency[Caller], identity: NamedDependency[Identity], id: Id) -> None:
    """Revoke a token; it is refused from now on."""
    identity.revoke_token(caller, id)


@get("/subjects", sync_to_thread=True)
def list_subjects(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Subject]:
    """List subjects with their roles, oldest first."""
    return identity.list_subjects(caller, cursor=cursor, limit=limit)


@post("/subjects", sync_to_thread=True)
def create_subject(
    caller: NamedDependency[Caller], identity: NamedDependency[Identity], data: JSONBody[NewSubject]
) -> Subject:
    """Make a user or a service, active and without roles."""
    return identity.create_subject(
        caller,
        data.name,
        type=data.type,
        display_name=data.display_name,
        email=data.email,
        org_id=data.org_id,
        workspace_id=data.workspace_id,
    )


@get("/subjects/{id:str}", sync_to_thread=True)
def get_subject(caller: NamedDependency[Caller], identity: NamedDependency[Identity], id: Id) -> Subject:
    """Show a subject with its roles."""
    return identity.get_subject(caller, id)


@patch("/subjects/{id:str}", sync_to_thread=True)
def change_subject(
    caller: NamedDependency[Caller], identity: NamedDependency[Identity], id: Id, data: JSONBody[SubjectChange]
) -> Subject:
    """Suspend or activate a subject, move it to another org or workspace, or set its roles."""
    roles = None
    if data.roles is not None:
        roles = [RoleBinding(role=grant.role, expires_at=grant.expires_at) for grant in data.roles]
    sent = {"org_id": data.org_id, "workspace_id": data.workspace_id}
    places = {field: place for field, place in sent.items() if place is not msgspec.UNSET}
    return identity.change_subject(caller, id, status=data.status, roles=roles, places=places)


@post("/login-codes", sync_to_thread=True)
def issue_login_code(
    caller: NamedDependency[Caller], identity: NamedDependency[Identity], data: JSONBody[NewLoginCode]
) -> LoginLink:
    """Issue a one-time code that signs a user in with a browser."""
    issued: LoginCode = identity.issue_login_code(caller, user=data.user)
    return LoginLink(
        code=issued.code,
        path=f"/sign-in?code={issued.code}",
        public_url=identity.journal.settings.public_url,
        subject=issued.subject,
        expires_at=issued.expires_at,
    )


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api",
        tags=["identity"],
        route_handlers=[
            issue_token,
            list_tokens,
            revoke_token,
            list_subjects,
            create_subject,
            get_subject,
            change_subject,
            issue_login_code,
        ],
    ),
    *directory_http.routes,
)
