"""The values of the catalog: services, teams, domains and what runs where, each fact with its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from companyos.core.fields import Line, Path, Url

Arm: TypeAlias = Literal["stable", "canary"]
Ownership: TypeAlias = Literal["owned", "unowned"]
Outcome: TypeAlias = Literal["created", "updated", "confirmed", "unchanged"]
Kind: TypeAlias = Literal["service", "team", "domain"]

MANUAL: Final = "manual"
"""The source of what a person has entered."""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Who said a fact, and when it was last seen to be so."""

    source: str
    """``manual``, ``manifest:<path or address>``, ``backstage:<path or address>`` or ``runtime:<service>``."""
    observed_at: datetime


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that belongs to a service: a runbook, a dashboard."""

    url: Url
    title: Line = ""


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """What every catalogued thing has. The facts of a thing are the fields that its own class adds."""

    name: str
    provenance: dict[str, Provenance] = {}
    """By the name of the fact; a fact that nobody has stated is empty and absent here."""
    revision: int = 1
    """Grows with each change; its entity tag is ``"<revision>"``."""
    created_at: datetime
    updated_at: datetime


class Service(Entity, frozen=True, kw_only=True):
    """A service as the catalog knows it."""

    description: str | None = None
    owner: str | None = None
    """The team, which need not be described yet; None is the state "no owner", which ``counts`` counts."""
    domain: str | None = None
    tier: str | None = None
    lifecycle: str | None = None
    regions: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Names of services; one that nobody has catalogued yet may be named."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    sections: dict[str, Any] = {}
    """What the manifest says to the other pillars, by section."""


class Team(Entity, frozen=True, kw_only=True):
    """A team that owns services."""

    title: str | None = None
    oncall: str | None = None
    """The rota or channel that reaches whoever is on call."""
    members: tuple[str, ...] = ()


class Domain(Entity, frozen=True, kw_only=True):
    """A part of the business that services belong to."""

    title: str | None = None
    description: str | None = None
    owner: str | None = None


KINDS: Final[Mapping[Kind, type[Service | Team | Domain]]] = {"service": Service, "team": Team, "domain": Domain}
FACTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    kind: tuple(field for field in type_.__struct_fields__ if field not in Entity.__struct_fields__)
    for kind, type_ in KINDS.items()
}
"""The names of the facts of each kind of thing."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says about one thing."""

    kind: Kind
    name: str
    source: str
    said: dict[str, Any]
    """Facts by name."""
    complete: bool
    """True for a whole description: a fact that is empty or left out is withdrawn if this source stated it before.
    False for a change: a fact that is left out stays, and an empty one is withdrawn, whoever stated it."""


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """Something in an import that has no place in the catalog."""

    source: str
    entity: str
    """As the document calls it, for example ``API:default/petstore`` or ``Component:default/shop spec.owner``."""
    reason: str


class ImportPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What documents say, before it is compared with what is known."""

    statements: tuple[Statement, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did with one thing."""

    kind: Kind
    name: str
    outcome: Outcome


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did; when nothing had changed, it recorded nothing either."""

    items: list[Imported]
    skipped: list[Skipped]


class SourceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text of a file that is to be imported, and the path or address that it came from."""

    path: Path
    text: str


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact that runs, or ran, for a service in one arm of one environment."""

    id: str
    service: str
    environment: str
    arm: Arm
    digest: str
    """``sha256:<64 hexadecimal digits>`` of the artifact."""
    version: str
    release: str
    """``<service>@<version>``."""
    weight_ratio: float | None = None
    """The share of the traffic that is assigned to this arm, 0..1; None when nobody has said."""
    since: datetime
    until: datetime | None = None
    """None while it runs."""
    source: str
    observed_at: datetime


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """A word that services are sorted by (a region, a tier, an environment), and how many services use it."""

    name: str
    services: int


class TeamView(msgspec.Struct, frozen=True, kw_only=True):
    """A team and how many services it owns; ``team`` is None when services name it and no source describes it."""

    name: str
    services: int
    team: Team | None = None


class DomainView(msgspec.Struct, frozen=True, kw_only=True):
    """A domain and how many services are in it; ``domain`` is None when no source describes it."""

    name: str
    services: int
    domain: Domain | None = None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How much the catalog holds."""

    services: int
    owned: int
    unowned: int
    teams: int
    domains: int
    deployments: int
    """Those that run now."""


class Projected(msgspec.Struct, frozen=True, kw_only=True):
    """All that the catalog knows of a service, for a page about it."""

    service: Service
    team: Team | None
    """The owner, when a source describes it."""
    deployments: tuple[Deployment, ...]
    """Those that run now."""


class ServiceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which services to list, and in which order."""

    domain: str | None = None
    region: str | None = None
    tier: str | None = None
    owner: str | None = None
    ownership: Ownership | None = None
    text: str | None = None
    """Part of the name, the description or the owner, in any case."""
    sort: str = "name"
    """A key of ``store.SORT_KEYS``; a leading hyphen turns the order round."""
