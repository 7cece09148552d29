"""The file of an import: roles, subjects with their roles and attributes, and what is said of orgs and workspaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from companyos.core.documents import Limits, decode, parse_json, parse_yaml_documents
from companyos.core.errors import InvalidInput
from companyos.core.fields import END, Line, Name
from companyos.identity.attribute import AttributeName, Scalar, Ttl, write_value
from companyos.identity.model import SubjectStatus, SubjectType

LIMITS: Final = Limits(bytes=8 * 1024 * 1024, depth=8, nodes=500_000, documents=1)
"""What one import may hold; the server's own limit of a body may be lower."""

PlaceId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,35}" + END,
        description="Up to 36 lower-case letters, digits, dots, underscores or hyphens.",
    ),
]
Email: TypeAlias = Annotated[
    str, Meta(max_length=254, pattern=r"^[^@\s\u0000-\u001f]{1,64}@[^@\s\u0000-\u001f]{1,189}" + END)
]
Description: TypeAlias = Annotated[str, Meta(max_length=500, pattern=r"^[^\u0000-\u001f\u007f]*" + END)]
SourceName: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}" + END)]


class Stated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that holds for ``ttl`` seconds from the import that first states it."""

    value: str | int | float | bool | list[Scalar] | None
    ttl: Ttl | None = None


Attributes: TypeAlias = Annotated[
    dict[AttributeName, str | int | float | bool | list[Scalar] | Stated | None], Meta(max_length=256)
]


class RoleEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role of the company's own."""

    name: Name
    description: Description = ""
    org_id: PlaceId | None = None


class BindingEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role with where and until when it counts."""

    role: Name
    workspace_id: PlaceId | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class SubjectEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subject; what is left out stays as it is, and ``roles`` is the whole set of its bindings."""

    name: Name
    type: SubjectType = "user"
    status: SubjectStatus | msgspec.UnsetType = msgspec.UNSET
    org_id: PlaceId | msgspec.UnsetType | None = msgspec.UNSET
    workspace_id: PlaceId | msgspec.UnsetType | None = msgspec.UNSET
    display_name: Line | msgspec.UnsetType | None = msgspec.UNSET
    email: Email | msgspec.UnsetType | None = msgspec.UNSET
    roles: Annotated[list[Name | BindingEntry], Meta(max_length=64)] | msgspec.UnsetType = msgspec.UNSET
    attributes: Attributes | msgspec.UnsetType = msgspec.UNSET

    @property
    def actor(self) -> str:
        """``user:<name>`` or ``service:<name>``."""
        return f"{self.type}:{self.name}"


class PlaceEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of an org or a workspace."""

    attributes: Attributes


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole import.

    Attributes get the source ``import:<source>``. What the same source has said before of a subject, an org or a
    workspace that the file describes with ``attributes``, and says no more, is withdrawn; of what the file does not
    mention nothing is.
    """

    source: SourceName = "file"
    roles: Annotated[list[RoleEntry], Meta(max_length=1000)] = []
    subjects: Annotated[list[SubjectEntry], Meta(max_length=20_000)] = []
    orgs: Annotated[dict[PlaceId, PlaceEntry], Meta(max_length=1000)] = {}
    workspaces: Annotated[dict[PlaceId, PlaceEntry], Meta(max_length=10_000)] = {}


def read_document(body: bytes, *, as_json: bool, where: str = "The import") -> Document:
    """Return what an import says, checked as far as it can be without the database.

    Raises TooLarge beyond ``LIMITS``, and InvalidInput that names the field otherwise.
    """
    if as_json:
        value: Any = parse_json(body, where=where, limits=LIMITS)
    else:
        documents = parse_yaml_documents(body, where=where, limits=LIMITS)
        if not documents:
            raise InvalidInput(f"{where} is empty.", next_step="Name subjects, roles, orgs or workspaces.")
        value = documents[0]
    document = decode(value, Document, where=where)
    _refuse_twice((role.name for role in document.roles), "role", "roles")
    _refuse_twice((subject.actor for subject in document.subjects), "subject", "subjects")
    for subject in document.subjects:
        if subject.attributes is not msgspec.UNSET:
            _check(subject.attributes, subject.actor)
    for kind, places in (("org", document.orgs), ("workspace", document.workspaces)):
        for name, place in places.items():
            _check(place.attributes, f"{kind}:{name}")
    return document


def stated(said: object) -> Stated:
    """Return what a file says of an attribute with its ttl, however it is written."""
    return said if isinstance(said, Stated) else Stated(value=said)  # type: ignore[arg-type] # decoded as one of both


def _check(attributes: Mapping[str, object], holder: str) -> None:
    for name, said in attributes.items():
        write_value(stated(said).value, field=f"{holder}.attributes.{name}")


def _refuse_twice(names: Iterable[str], what: str, field: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(
                f"The {what} {name} is described twice.",
                next_step="Describe it once; nothing was imported.",
                field=field,
            )
        seen.add(name)
