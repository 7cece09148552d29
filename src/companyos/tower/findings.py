"""What stands against services: holds and incidents, sorted by the service that they are about. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from companyos.operations import Hold, Incident
from companyos.operations.subject import FLEET, named
from companyos.tower.model import HoldMark, IncidentMark

WIDE: Final = frozenset({"fleet"})
"""Kinds of subject that are about more services than a ledger entry names."""


class Findings(msgspec.Struct, frozen=True):
    """Holds and open incidents by service."""

    holds: Mapping[str, tuple[Hold, ...]]
    incidents: Mapping[str, tuple[Incident, ...]]
    fleet: tuple[Hold, ...] = ()
    """Holds on everything."""

    def holds_of(self, service: str) -> tuple[Hold, ...]:
        """Return what stops releases of the service: holds on it, on a release of it, on the fleet."""
        return (*self.holds.get(service, ()), *self.fleet)

    def incidents_of(self, service: str) -> tuple[Incident, ...]:
        """Return the open incidents of the service and of its releases.

        One about a domain or the fleet does not say which services fail, so it changes the state of none.
        """
        return self.incidents.get(service, ())


def findings(holds: Mapping[str, Sequence[Hold]], incidents: Mapping[str, Sequence[Incident]]) -> Findings:
    """Return the findings from holds and incidents by subject."""
    held: defaultdict[str, list[Hold]] = defaultdict(list)
    burning: defaultdict[str, list[Incident]] = defaultdict(list)
    for subject, some_holds in holds.items():
        if (service := named(subject).service) is not None:
            held[service].extend(some_holds)
    for subject, some_incidents in incidents.items():
        if (service := named(subject).service) is not None:
            burning[service].extend(some_incidents)
    return Findings(
        {service: tuple(items) for service, items in held.items()},
        {service: tuple(items) for service, items in burning.items()},
        tuple(holds.get(FLEET, ())),
    )


def hold_mark(hold: Hold) -> HoldMark:
    """Return what a row keeps of a hold."""
    return HoldMark(id=hold.id, reason=hold.reason, source=hold.source, since=hold.placed_at, until=hold.until)


def incident_mark(incident: Incident) -> IncidentMark:
    """Return what a row keeps of an incident."""
    return IncidentMark(
        id=incident.id,
        title=incident.title,
        severity=incident.severity,
        mitigated=incident.status == "mitigated",
        opened_at=incident.opened_at,
    )
