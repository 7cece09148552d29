"""What a Backstage ``catalog-info.yaml`` says, in the words of our catalog.

| Backstage | here |
|---|---|
| Component | service; ``spec.system`` gives the domain, through the system's own domain when it is in the same import |
| Group | team with its members, also those that a User in the same import claims by ``spec.memberOf`` |
| System, Domain | domain |
| User | member of its teams |
| API, Resource, Location, Template and others | skipped, each with the reason |

The mapping is total: whatever the documents hold, the outcome is statements and reasons, never an exception. Form and
meaning of the fields: Backstage's "Descriptor Format of Catalog Entities".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from companyos.catalog.fields import Annotations, Labels, Members
from companyos.catalog.manifest import as_set
from companyos.catalog.model import ImportPlan, Link, Skipped, Statement
from companyos.core.fields import Line, Name, ServiceName, Text

TAGS: Final = "companyos.dev/backstage-tags"
TYPE: Final = "companyos.dev/backstage-type"
ONCALL: Final = "companyos.dev/oncall"
"""The annotation of a Group that names its rota."""

_API_VERSION: Final = re.compile(r"backstage\.io/v1(?:alpha1|beta[1-9])")
_REF: Final = re.compile(r"(?:([A-Za-z]{1,40}):)?(?:([\w.-]{1,63})/)?([\w.-]{1,63})", re.ASCII)
_REASONS: Final[Mapping[str, str]] = {
    "api": "an API is kept with the service that provides it",
    "resource": "a resource is no service, and the catalog keeps services only",
    "location": "other files are not followed; import the files that it names",
    "template": "templates come with `companyos new`",
    "user": "it is in no team; people who sign in are made with `companyos token issue`",
}


class Entity(msgspec.Struct, frozen=True):
    """The parts of a document that every Backstage entity has, whatever is in them."""

    source: str
    kind: str
    namespace: str
    name: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def ref(self) -> str:
        """The entity as Backstage writes it: ``Component:default/shop``."""
        return f"{self.kind}:{self.namespace}/{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """What tells entities of one kind apart; names count without their case."""
        return self.namespace, self.name.lower()


class Ref(msgspec.Struct, frozen=True):
    """A reference to an entity, ``[kind:][namespace/]name``, with its defaults filled in."""

    kind: str
    namespace: str
    name: str


def is_backstage(document: object) -> bool:
    """Tell whether a document claims to be an entity of Backstage, by its ``apiVersion``."""
    version = document.get("apiVersion") if isinstance(document, Mapping) else None
    return isinstance(version, str) and _API_VERSION.fullmatch(version) is not None


def read_entities(documents: Sequence[tuple[str, Any]]) -> ImportPlan:
    """Return what Backstage documents say, and what of them was skipped and why.

    Each document comes with its source (``backstage:<path>``). Entities of one import may refer to each other.
    """
    reader = _Reader()
    for source, document in documents:
        reader.take(source, document)
    return reader.plan()


def parse_ref(text: object, *, kind: str) -> Ref | None:
    """Return a reference, with the given kind where it names none, or None when it is none."""
    found = _REF.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    return Ref((found[1] or kind).lower(), (found[2] or "default").lower(), found[3])


def our_name(namespace: str, name: str, *, service: bool) -> str | None:
    """Return what we call a thing of Backstage, or None when that is no name here.

    Lower case; outside of the namespace ``default`` the namespace comes first; a service name has hyphens only.
    """
    text = (name if namespace == "default" else f"{namespace}.{name}").lower()
    if service:
        text = re.sub(r"[._]", "-", text)
    fitting: str | None = _fitting(text, ServiceName if service else Name)
    return fitting


class _Reader:
    """Collects the entities of an import and turns them into statements."""

    def __init__(self) -> None:
        self._entities: list[Entity] = []
        self._skipped: list[Skipped] = []
        self._systems: dict[tuple[str, str], Entity] = {}
        self._members: dict[tuple[str, str], list[str]] = {}

    def take(self, source: str, document: Any) -> None:  # noqa: ANN401 - any JSON value
        kind, metadata = _get(document, "kind"), _mapping(document, "metadata")
        name, namespace = _get(metadata, "name"), _get(metadata, "namespace")
        entity = Entity(
            source=source,
            kind=kind[:60] if isinstance(kind, str) else "?",
            namespace=namespace.lower()[:63] if isinstance(namespace, str) and namespace else "default",
            name=name[:200] if isinstance(name, str) else "?",
            metadata=metadata,
            spec=_mapping(document, "spec"),
        )
        if not is_backstage(document) or entity.kind == "?" or entity.name == "?":
            self._skip(entity, "it lacks a Backstage apiVersion, a kind or a metadata.name")
        else:
            self._entities.append(entity)

    def plan(self) -> ImportPlan:
        self._systems = {entity.key: entity for entity in self._entities if entity.kind.lower() == "system"}
        self._members = {entity.key: [] for entity in self._entities if entity.kind.lower() == "group"}
        for user in self._entities:
            for team in self._teams_of(user):
                self._members[team].append(user.name)
        statements = [statement for entity in self._entities if (statement := self._read(entity))]
        return ImportPlan(statements=tuple(statements), skipped=tuple(self._skipped))

    def _read(self, entity: Entity) -> Statement | None:
        kind = entity.kind.lower()
        if kind == "component":
            return self._statement(entity, "service", self._component(entity))
        if kind == "group":
            return self._statement(entity, "team", self._group(entity))
        if kind in {"system", "domain"}:
            # A system inside a domain is no domain of its own: its services belong to that one.
            if kind == "system" and self._domain_of(entity) is not None:
                self._skip(entity, "its services go into its domain")
                return None
            return self._statement(entity, "domain", self._domain(entity))
        if kind == "user" and self._teams_of(entity):
            return None
        self._skip(entity, _REASONS.get(kind, "the catalog has no place for this kind"))
        return None

    def _statement(self, entity: Entity, kind: Any, said: dict[str, Any]) -> Statement | None:  # noqa: ANN401 - Kind
        name = our_name(entity.namespace, entity.name, service=kind == "service")
        if name is None:
            form = "2 to 39 letters, digits or hyphens, a letter first" if kind == "service" else "up to 63 characters"
            self._skip(entity, f"its name cannot be the name of a {kind} here, which is {form}")
            return None
        said["depends_on"] = tuple(other for other in said.get("depends_on", ()) if other != name)
        said = {fact: value for fact, value in said.items() if value not in (None, (), {})}
        return Statement(kind=kind, name=name, source=entity.source, said=said, complete=True)

    # --- kinds --------------------------------------------------------------------------------------------------------

    def _component(self, entity: Entity) -> dict[str, Any]:
        spec = entity.spec
        annotations = self._fact(entity, entity.metadata, "annotations", Annotations) or {}
        tags = [tag for tag in _list(entity.metadata, "tags") if isinstance(tag, str)]
        extra = {TAGS: ",".join(tags)[:4000], TYPE: _get(spec, "type")}
        annotations |= {key: text for key, text in extra.items() if text and _fitting(text, Text) is not None}
        return {
            "description": self._fact(entity, entity.metadata, "description", Text),
            "owner": self._owner(entity),
            "domain": self._domain_of(entity),
            "lifecycle": self._word(entity, "lifecycle"),
            "depends_on": self._dependencies(entity),
            "labels": self._fact(entity, entity.metadata, "labels", Labels),
            "annotations": annotations,
            "links": self._links(entity),
        }

    def _group(self, entity: Entity) -> dict[str, Any]:
        profile = _mapping(entity.spec, "profile")
        listed = [ref.name for item in _list(entity.spec, "members") if (ref := parse_ref(item, kind="user"))]
        members = as_set(listed + self._members[entity.key])
        return {
            "title": self._fact(entity, profile, "displayName", Line) or self._title(entity),
            "oncall": self._fact(entity, _mapping(entity.metadata, "annotations"), ONCALL, Line),
            "members": members if _fitting(list(members), Members) is not None else (),
        }

    def _domain(self, entity: Entity) -> dict[str, Any]:
        return {
            "title": self._title(entity),
            "description": self._fact(entity, entity.metadata, "description", Text),
            "owner": self._owner(entity),
        }

    # --- fields -------------------------------------------------------------------------------------------------------

    def _title(self, entity: Entity) -> str | None:
        title: str | None = self._fact(entity, entity.metadata, "title", Line)
        return title

    def _owner(self, entity: Entity) -> str | None:
        text = _get(entity.spec, "owner")
        if text is None:
            return None
        ref = parse_ref(text, kind="group")
        if ref is None or ref.kind != "group":
            self._skip(entity, "an owner is a team, and this is none", "spec.owner")
            return None
        name = our_name(ref.namespace, ref.name, service=False)
        if name is None:
            self._skip(entity, "the owner's name cannot be the name of a team here", "spec.owner")
        return name

    def _domain_of(self, entity: Entity) -> str | None:
        """Return the domain that an entity belongs to: of a system its domain, of a component that of its system."""
        if entity.kind.lower() == "system":
            ref = parse_ref(_get(entity.spec, "domain"), kind="domain")
        else:
            ref = parse_ref(_get(entity.spec, "system"), kind="system")
        if ref is None:
            return None
        system = self._systems.get((ref.namespace, ref.name.lower())) if entity.kind.lower() != "system" else None
        return (system and self._domain_of(system)) or our_name(ref.namespace, ref.name, service=False)

    def _dependencies(self, entity: Entity) -> tuple[str, ...]:
        names = []
        for item in _list(entity.spec, "dependsOn"):
            ref = parse_ref(item, kind="component")
            name = our_name(ref.namespace, ref.name, service=True) if ref and ref.kind == "component" else None
            if name is None:
                self._skip(entity, f"{str(item)[:80]!r} is no service here", "spec.dependsOn")
            else:
                names.append(name)
        return as_set(names)

    def _links(self, entity: Entity) -> tuple[Link, ...]:
        links = []
        for item in _list(entity.metadata, "links"):
            link = {"url": _get(item, "url"), "title": _get(item, "title") or ""}
            try:
                links.append(msgspec.convert(link, Link))
            except msgspec.ValidationError:
                self._skip(entity, f"{str(link['url'])[:80]!r} is no link to http or https", "metadata.links")
        return tuple(links[:64])

    def _word(self, entity: Entity, field: str) -> str | None:
        text = _get(entity.spec, field)
        word = _fitting(text.lower(), Name) if isinstance(text, str) else None
        if text is not None and word is None:
            self._skip(entity, "it is not one plain word", f"spec.{field}")
        return word

    def _fact(self, entity: Entity, holder: object, field: str, type: Any) -> Any:  # noqa: ANN401 - the fact's type
        value = _get(holder, field)
        fitting = _fitting(value, type)
        if value is not None and fitting is None:
            self._skip(entity, "it is not of the form or length that the catalog takes", field)
        return fitting

    def _teams_of(self, user: Entity) -> set[tuple[str, str]]:
        """Return the keys of the groups in this import that a User says it is a member of."""
        if user.kind.lower() != "user":
            return set()
        refs = [parse_ref(item, kind="group") for item in _list(user.spec, "memberOf")]
        asked = {(ref.namespace, ref.name.lower()) for ref in refs if ref and ref.kind == "group"}
        return asked & self._members.keys()

    def _skip(self, entity: Entity, reason: str, field: str = "") -> None:
        self._skipped.append(Skipped(source=entity.source, entity=f"{entity.ref} {field}".strip(), reason=reason))


def _fitting(value: object, type: Any) -> Any:  # noqa: ANN401 - the value as that type
    """Return the value when it is of the type, else None."""
    try:
        return msgspec.convert(value, type) if value is not None else None
    except msgspec.ValidationError:
        return None


def _get(holder: object, field: str) -> Any:  # noqa: ANN401 - any JSON value
    return holder.get(field) if isinstance(holder, Mapping) else None


def _mapping(holder: object, field: str) -> Mapping[str, Any]:
    value = _get(holder, field)
    return value if isinstance(value, Mapping) else {}


def _list(holder: object, field: str) -> Iterable[Any]:
    value = _get(holder, field)
    return value if isinstance(value, list) else ()
