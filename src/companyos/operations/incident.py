"""How an incident moves: open, mitigated, closed. A closed one stays closed; what happens after it is a new one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from companyos.core.errors import Conflict
from companyos.operations.model import Incident, IncidentLink, IncidentStatus, Severity

MAX_LINKS: Final = 64
NEXT: Final[Mapping[IncidentStatus, frozenset[IncidentStatus]]] = {
    "open": frozenset({"mitigated", "closed"}),
    "mitigated": frozenset({"open", "closed"}),
    "closed": frozenset(),
}
"""Where an incident can go from each status."""


def move(incident: Incident, status: IncidentStatus, now: datetime) -> Incident:
    """Return the incident in its new status, or raise Conflict when no way leads there."""
    if status not in NEXT[incident.status]:
        ways = ", ".join(sorted(NEXT[incident.status]))
        raise Conflict(
            f"An incident that is {incident.status} cannot become {status}.",
            next_step=f"From here it can become {ways}." if ways else "Open a new incident.",
        )
    if status == "open":
        return msgspec.structs.replace(incident, status=status, mitigated_at=None)
    if status == "mitigated":
        return msgspec.structs.replace(incident, status=status, mitigated_at=now)
    return msgspec.structs.replace(incident, status=status, closed_at=now)


def grade(incident: Incident, severity: Severity) -> Incident:
    """Return the incident with another severity, or raise Conflict when it is closed or has that one already."""
    if incident.status == "closed":
        raise Conflict("A closed incident keeps its severity.", next_step="Open a new incident.")
    if incident.severity == severity:
        raise Conflict(f"The incident is {severity} already.", next_step="Choose another severity.")
    return msgspec.structs.replace(incident, severity=severity)


def link(incident: Incident, link: IncidentLink) -> Incident:
    """Return the incident with one more link, or raise Conflict when it has that one or ``MAX_LINKS`` already."""
    if link in incident.links or len(incident.links) >= MAX_LINKS:
        raise Conflict(f"An incident has each link once, and up to {MAX_LINKS}.", next_step="Leave it out.")
    return msgspec.structs.replace(incident, links=(*incident.links, link))
