"""The HTTP face of attributes, roles, bindings and imports, below ``/api/identity``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Response, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, HeaderParameter, JSONBody, PathParameter, QueryParameter, RawBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from companyos.core.access import Caller, require
from companyos.core.errors import UnsupportedMediaType
from companyos.core.fields import Name
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from companyos.identity.attribute import Attribute, Scope, Source, Ttl, Value
from companyos.identity.attributing import Profile, tag_of
from companyos.identity.document import Description, PlaceId, read_document
from companyos.identity.importing import ImportReport
from companyos.identity.model import RoleRecord, Subject
from companyos.identity.service import Identity

_JSON: Final = "application/json"
MEDIA_TYPES: Final = ("application/yaml", _JSON, "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain")
"""What the body of an import may be; YAML has its own type since RFC 9512."""

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
Holder = Annotated[
    str, PathParameter(max_length=80, description="Id of a subject or `user:<name>`; id of an org or a workspace.")
]
Workspace = Annotated[str | None, QueryParameter(max_length=36, description="The id of a workspace.")]
Word = Annotated[str, PathParameter(max_length=64)]
IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", max_length=1000, description="The ETag of the attribute that is replaced."),
]


class AttributeSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said, for how long, and who says so."""

    value: Value
    ttl: Ttl | None = None
    source: Source | None = None
    """The caller when left out."""


class NewRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role of the company's own."""

    name: Name
    description: Description = ""
    org_id: PlaceId | None = None


class BindingSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and until when a role counts; everywhere and for good when left out."""

    workspace_id: PlaceId | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


@dataclass
class ImportOperation(Operation):
    """Says in the OpenAPI document that the body of an import is text."""

    def __post_init__(self) -> None:
        """Describe the body, which the handler reads by itself."""
        text = Schema(type=OpenAPIType.STRING, description="Roles, subjects, orgs and workspaces; see the ADR 0013.")
        self.request_body = RequestBody(
            content={media_type: OpenAPIMediaType(schema=text) for media_type in MEDIA_TYPES}, required=True
        )


@get("/subjects/{id:str}", sync_to_thread=True)
def get_profile(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    id: Holder,
    workspace_id: Workspace = None,
) -> Response[Profile]:
    """Show a subject as a policy sees it now, and where each attribute comes from."""
    profile = identity.profile(caller, id, workspace_id=workspace_id)
    return Response(profile, headers={"ETag": f'"{profile.subject.revision}"'})


@put("/subjects/{id:str}/roles/{role:str}", sync_to_thread=True)
def bind_role(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    id: Holder,
    role: Word,
    data: JSONBody[BindingSetting],
) -> Subject:
    """Give a subject a role, everywhere or in a workspace, for good or until a moment."""
    return identity.bind_role(caller, id, role, workspace_id=data.workspace_id, expires_at=data.expires_at)


@delete("/subjects/{id:str}/roles/{role:str}", status_code=200, sync_to_thread=True)
def unbind_role(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    id: Holder,
    role: Word,
    workspace_id: Workspace = None,
) -> Subject:
    """Take a role from a subject: the one that counts everywhere, or the one in a workspace."""
    return identity.unbind_role(caller, id, role, workspace_id=workspace_id)


@get("/attributes", sync_to_thread=True)
def list_attributes(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    kind: Annotated[Scope | None, QueryParameter(name="scope")] = None,
    holder: Annotated[str | None, QueryParameter(max_length=80)] = None,
    name: Annotated[str | None, QueryParameter(max_length=64)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Attribute]:
    """List attributes, oldest first, expired ones included."""
    return identity.list_attributes(caller, scope=kind, holder=holder, name=name, cursor=cursor, limit=limit)


@get("/attributes/{kind:str}/{holder:str}/{name:str}", sync_to_thread=True)
def get_attribute(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    kind: FromPath[Scope],
    holder: Holder,
    name: Word,
) -> Response[Attribute]:
    """Show what is said under a name of one subject, org or workspace; its ETag may go into `If-Match` of a change."""
    found = identity.get_attribute(caller, kind, holder, name)
    return Response(found, headers={"ETag": tag_of(found)})


@put("/attributes/{kind:str}/{holder:str}/{name:str}", sync_to_thread=True)
def set_attribute(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    kind: FromPath[Scope],
    holder: Holder,
    name: Word,
    data: JSONBody[AttributeSetting],
    if_match: IfMatch = None,
) -> Response[Attribute]:
    """Say something of a subject, an org or a workspace, in place of what was said before under this name."""
    said = identity.set_attribute(
        caller, kind, holder, name, data.value, ttl=data.ttl, source=data.source, if_match=if_match
    )
    return Response(said, headers={"ETag": tag_of(said)})


@delete("/attributes/{kind:str}/{holder:str}/{name:str}", sync_to_thread=True)
def remove_attribute(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    kind: FromPath[Scope],
    holder: Holder,
    name: Word,
    if_match: IfMatch = None,
) -> None:
    """Remove what is said; a more general statement of that name counts from then on."""
    identity.remove_attribute(caller, kind, holder, name, if_match=if_match)


@get("/roles", sync_to_thread=True)
def list_roles(caller: NamedDependency[Caller], identity: NamedDependency[Identity]) -> list[RoleRecord]:
    """List the built-in roles and behind them the company's own, by name."""
    return identity.list_roles(caller)


@post("/roles", sync_to_thread=True)
def create_role(
    caller: NamedDependency[Caller], identity: NamedDependency[Identity], data: JSONBody[NewRole]
) -> RoleRecord:
    """Create a role, which means what policies say of it."""
    return identity.create_role(caller, data.name, description=data.description, org_id=data.org_id)


@delete("/roles/{role:str}", sync_to_thread=True)
def delete_role(caller: NamedDependency[Caller], identity: NamedDependency[Identity], role: Word) -> None:
    """Delete a role that nobody has, by its id or its name."""
    identity.delete_role(caller, role)


@post("/import", status_code=200, sync_to_thread=True, operation_class=ImportOperation)
def import_identity(
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    body: RawBody,
    content_type: Annotated[str, HeaderParameter(name="Content-Type", max_length=200)] = "application/yaml",
    dry_run: Annotated[bool, QueryParameter(description="Say what would change, and change nothing.")] = False,  # noqa: FBT002 - a query parameter
) -> ImportReport:
    """Import roles, subjects and attributes: all of a file, or nothing when anything in it is wrong."""
    require(caller, "identity.write", "subjects")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(
            f"An import cannot be {media_type[:60]!r}.", next_step=f"Send one of {', '.join(MEDIA_TYPES)}."
        )
    document = read_document(body, as_json=media_type == _JSON)
    return identity.import_document(caller, document, dry_run=dry_run)


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api/identity",
        tags=["identity"],
        route_handlers=[
            get_profile,
            bind_role,
            unbind_role,
            list_attributes,
            get_attribute,
            set_attribute,
            remove_attribute,
            list_roles,
            create_role,
            delete_role,
            import_identity,
        ],
    ),
)
