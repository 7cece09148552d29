"""The bodies that the HTTP face of the catalog takes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from companyos.catalog.fields import Annotations, Labels, Members, Names, ServiceNames
from companyos.catalog.model import Link, SourceFile
from companyos.core.fields import Line, Name, ServiceName, Text


class ServiceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts of a service: what is left out stays as it is, null or an empty value withdraws a fact."""

    description: Text | UnsetType | None = UNSET
    owner: Name | UnsetType | None = UNSET
    domain: Name | UnsetType | None = UNSET
    tier: Name | UnsetType | None = UNSET
    lifecycle: Name | UnsetType | None = UNSET
    regions: Names | UnsetType = UNSET
    environments: Names | UnsetType = UNSET
    depends_on: ServiceNames | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    annotations: Annotations | UnsetType = UNSET
    links: Annotated[list[Link], Meta(max_length=64)] | UnsetType = UNSET

    def facts(self) -> dict[str, Any]:
        """Return the facts that were sent, by name, as the model keeps them."""
        sent = {fact: getattr(self, fact) for fact in ServiceChange.__struct_fields__}
        return {
            fact: tuple(value) if isinstance(value, list) else value
            for fact, value in sent.items()
            if value is not UNSET
        }


class NewService(ServiceChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service that the catalog does not have yet."""

    name: ServiceName


class TeamFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that shall be known of a team; what is left out is withdrawn."""

    title: Line | None = None
    oncall: Line | None = None
    members: Members = []


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several files that are imported together, or not at all."""

    files: Annotated[list[SourceFile], Meta(min_length=1, max_length=5000)]
