"""The service page as a value: a pure function of what is known of one service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from companyos.catalog import Deployment, Projected
from companyos.core.ids import is_uuid
from companyos.delivery.view import Summary
from companyos.ledger import Record
from companyos.operations import Hold, Incident, TimelineEntry
from companyos.tower.board import Board
from companyos.tower.ladder import ReleaseCard, in_flight
from companyos.tower.ladder import card as release_card
from companyos.tower.model import Card
from companyos.tower.wording import sentence

_FACTS: Final = (
    ("owner", "Owner"),
    ("domain", "Domain"),
    ("tier", "Tier"),
    ("lifecycle", "Lifecycle"),
    ("regions", "Regions"),
    ("environments", "Environments"),
    ("labels", "Labels"),
)
_NOT_STATED: Final = "not stated"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is known, with who said it and when."""

    label: str
    value: str
    source: str | None = None
    observed_at: datetime | None = None


class Neighbour(msgspec.Struct, frozen=True):
    """A service at the other end of a dependency; ``card`` is None for one that nobody has catalogued."""

    name: str
    card: Card | None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger record as the page shows it."""

    index: int
    id: str
    time: datetime
    actor: str
    says: str
    service: str | None
    denied: bool
    release_id: str | None = None
    """The release that it is about, where the record names one."""


class IncidentView(msgspec.Struct, frozen=True):
    """An open incident with what people wrote down about it, oldest first."""

    incident: Incident
    timeline: tuple[TimelineEntry, ...]


class ServicePage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the service page shows."""

    card: Card
    now: datetime
    known: Projected
    facts: tuple[Fact, ...]
    deployments: tuple[Deployment, ...]
    needs: tuple[Neighbour, ...]
    needed_by: tuple[Neighbour, ...]
    holds: tuple[Hold, ...] = ()
    incidents: tuple[IncidentView, ...] = ()
    lines: tuple[Line, ...] | None = None
    """The newest ledger records of the service; None for a caller who may not read the ledger."""
    releases: tuple[ReleaseCard, ...] = ()
    """Its newest releases, newest first."""

    @property
    def moving(self) -> tuple[ReleaseCard, ...]:
        """Return those in flight."""
        return tuple(one for one in self.releases if in_flight(one.release))

    @property
    def ended(self) -> tuple[ReleaseCard, ...]:
        """Return those that are over."""
        return tuple(one for one in self.releases if not in_flight(one.release))


def service_page(
    card: Card,
    known: Projected,
    board: Board,
    now: datetime,
    *,
    holds: Iterable[Hold] = (),
    incidents: Iterable[IncidentView] = (),
    records: Iterable[Record] | None = None,
    releases: Iterable[Summary] = (),
) -> ServicePage:
    """Return the page; its state is that of the card, the same that the list shows."""
    name = card.row.name
    needed_by = sorted(other.row.name for other in board.cards.values() if name in other.row.depends_on)
    return ServicePage(
        card=card,
        now=now,
        known=known,
        facts=facts(known),
        deployments=_in_order(known.deployments, card.row.environment),
        needs=_neighbours(sorted(known.service.depends_on), board),
        needed_by=_neighbours(needed_by, board),
        holds=tuple(holds),
        incidents=tuple(incidents),
        releases=tuple(release_card(one, now) for one in releases),
        lines=None if records is None else tuple(line(record) for record in records),
    )


def facts(known: Projected) -> tuple[Fact, ...]:
    """Return what the catalog says of a service; a fact that nobody stated is shown as missing, not left out."""
    service, team = known.service, known.team
    found = []
    for field, label in _FACTS:
        origin = service.provenance.get(field)
        found.append(
            Fact(
                label=label,
                value=_words(getattr(service, field)) or _NOT_STATED,
                source=origin.source if origin else None,
                observed_at=origin.observed_at if origin else None,
            )
        )
    origin = team.provenance.get("oncall") if team else None
    oncall = Fact(
        label="On call",
        value=(team.oncall if team else None) or _NOT_STATED,
        source=origin.source if origin else None,
        observed_at=origin.observed_at if origin else None,
    )
    return (found[0], oncall, *found[1:])


def line(record: Record) -> Line:
    """Return a ledger record as a line of a page."""
    return Line(
        index=record.index,
        id=record.id,
        time=record.time,
        actor=record.actor,
        says=sentence(record),
        service=record.service,
        denied=record.decision == "deny",
        release_id=named if isinstance(named := record.details.get("release_id"), str) and is_uuid(named) else None,
    )


def _in_order(deployments: Iterable[Deployment], judged: str | None) -> tuple[Deployment, ...]:
    """Return what runs: the environment that the service is judged by first, and in each the stable arm first."""
    return tuple(
        sorted(deployments, key=lambda one: (one.environment != judged, one.environment, one.arm != "stable", one.id))
    )


def _neighbours(names: Sequence[str], board: Board) -> tuple[Neighbour, ...]:
    return tuple(Neighbour(name, board.cards.get(name)) for name in names)


def _words(value: Any) -> str:  # noqa: ANN401 - the value of any fact
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in sorted(value.items()))
    if isinstance(value, tuple):
        return ", ".join(value)
    return value or ""
