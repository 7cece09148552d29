"""``companyos.yaml``: what a service says about itself, in the repository of the service.

The manifest is one document: ``apiVersion: companyos.dev/v1``, ``kind: Service``, ``metadata``, ``spec``. Every other
pillar may add a section to ``spec`` with ``register_section``; a section that nobody has registered is refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from companyos.catalog.fields import Annotations, Labels, Names, ServiceNames
from companyos.catalog.model import Link, Service, Statement
from companyos.core.documents import decode
from companyos.core.errors import InvalidInput
from companyos.core.fields import Name, ServiceName, Text

API_VERSION: Final = "companyos.dev/v1"
KIND: Final = "Service"
FILE_NAME: Final = "companyos.yaml"
SCHEMA_ID: Final = "https://companyos.dev/schemas/v1/service.json"
_SECTION_NAME: Final = re.compile(r"[a-z][a-zA-Z0-9]{1,39}")


class Metadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Name and description of the service."""

    name: ServiceName
    description: Text = ""
    labels: Labels = {}
    annotations: Annotations = {}
    links: Annotated[list[Link], Meta(max_length=64)] = []


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the catalog itself reads of ``spec``; the sections of other pillars stand beside these fields."""

    owner: Name | None = None
    domain: Name | None = None
    tier: Name | None = None
    lifecycle: Name | None = None
    regions: Names = []
    environments: Names = []
    dependsOn: ServiceNames = []  # noqa: N815 - the manifest is written in the style of Kubernetes


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The manifest of a service."""

    apiVersion: Literal["companyos.dev/v1"]  # noqa: N815 - the manifest is written in the style of Kubernetes
    kind: Literal["Service"]
    metadata: Metadata
    spec: Spec


_sections: Final[dict[str, type[msgspec.Struct]]] = {}


def register_section(name: str, type: type[msgspec.Struct]) -> None:
    """Let ``spec.<name>`` of every manifest hold a value of this type; doing so again changes nothing.

    Raises ValueError for a name that is taken or not camelCase, and for a type that lets unknown fields through: these
    are faults of the program, not of an input.
    """
    if _sections.get(name) is type:
        return
    if name in _sections or name in Spec.__struct_fields__ or not _SECTION_NAME.fullmatch(name):
        raise ValueError(f"a manifest section cannot be called {name!r}")
    if not type.__struct_config__.forbid_unknown_fields:
        raise ValueError(f"{type.__name__} must forbid unknown fields")
    _sections[name] = type


def sections() -> dict[str, type[msgspec.Struct]]:
    """Return the registered sections by name."""
    return dict(sorted(_sections.items()))


def is_manifest(document: object) -> bool:
    """Tell whether a document claims to be ours, by its ``apiVersion``."""
    version = document.get("apiVersion") if isinstance(document, dict) else None
    return isinstance(version, str) and version.startswith("companyos.dev/")


def read_manifest(document: Any, *, source: str, where: str) -> Statement:  # noqa: ANN401 - any JSON value
    """Return what a manifest says, or raise InvalidInput that names the field.

    ``source`` becomes the provenance of the facts; ``where`` names the document in messages.
    """
    known, own = _split(document, where)
    manifest = decode(known, Manifest, where=where)
    metadata, spec = manifest.metadata, manifest.spec
    if metadata.name in spec.dependsOn:
        raise InvalidInput(
            f"{where}: {metadata.name} depends on itself.", next_step="Remove that line.", field="spec.dependsOn"
        )
    return Statement(
        kind="service",
        name=metadata.name,
        source=source,
        complete=True,
        said={
            "description": metadata.description or None,
            "owner": spec.owner,
            "domain": spec.domain,
            "tier": spec.tier,
            "lifecycle": spec.lifecycle,
            "regions": as_set(spec.regions),
            "environments": as_set(spec.environments),
            "depends_on": as_set(spec.dependsOn),
            "labels": metadata.labels,
            "annotations": metadata.annotations,
            "links": tuple(metadata.links),
            "sections": own,
        },
    )


def write_manifest(service: Service) -> dict[str, Any]:
    """Return the manifest document that says what is known of a service; reading it gives the same facts."""
    metadata = Metadata(
        name=service.name,
        description=service.description or "",
        labels=service.labels,
        annotations=service.annotations,
        links=list(service.links),
    )
    spec = Spec(
        owner=service.owner,
        domain=service.domain,
        tier=service.tier,
        lifecycle=service.lifecycle,
        regions=list(service.regions),
        environments=list(service.environments),
        dependsOn=list(service.depends_on),
    )
    document: dict[str, Any] = msgspec.to_builtins(
        Manifest(apiVersion=API_VERSION, kind=KIND, metadata=metadata, spec=spec)
    )
    document["spec"] |= service.sections
    return document


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the manifest with the sections that are registered now."""
    types = [Manifest, *sections().values()]
    (manifest, *own), definitions = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    properties = definitions["Spec"]["properties"]
    properties.update(dict(zip(sections(), own, strict=True)))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **manifest,
        "$defs": dict(sorted(definitions.items())),
    }


def as_set(names: list[str]) -> tuple[str, ...]:
    """Return names in order, each once, so that two ways to write one fact are equal."""
    return tuple(sorted(set(names)))


def _split(document: Any, where: str) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401 - any JSON value
    """Return the document without the sections of other pillars, and these, each checked and normalised."""
    spec = document.get("spec") if isinstance(document, dict) else None
    if not isinstance(spec, dict):
        return document, {}
    own: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in spec.items():
        if name in Spec.__struct_fields__:
            rest[name] = value
        elif name in _sections:
            _refuse_nul(value, f"{where}, spec.{name}")
            own[name] = msgspec.to_builtins(decode(value, _sections[name], where=f"{where}, spec.{name}"))
        else:
            known = ", ".join([*Spec.__struct_fields__, *sections()])
            raise InvalidInput(
                f"{where}: nobody knows the section spec.{str(name)[:60]}.",
                next_step=f"Use some of {known}.",
                field=f"spec.{str(name)[:60]}",
            )
    return {**document, "spec": rest}, own


def _refuse_nul(value: Any, where: str) -> None:  # noqa: ANN401 - any JSON value
    """Refuse a NUL in any text: PostgreSQL keeps none, and the fields of a section may not care."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidInput(f"{where} holds a NUL character.", next_step="Remove it.")
    if isinstance(value, dict):
        for key, child in value.items():
            _refuse_nul(key, where)
            _refuse_nul(child, where)
    elif isinstance(value, list):
        for child in value:
            _refuse_nul(child, where)
