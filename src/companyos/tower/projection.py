"""From what the pillars know of a service to its one row: pure, so that a rebuild gives the same rows again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from companyos.catalog import Deployment, Projected
from companyos.tower.findings import Findings, hold_mark, incident_mark
from companyos.tower.model import Arm, TowerRow

PRODUCTION: Final = ("production", "prod", "live")
"""Names of the environment that a service is judged by, where it runs in one of them."""


def project(known: Projected, against: Findings, *, revision: int) -> TowerRow:
    """Return the row of a service from all that is known of it."""
    service, team = known.service, known.team
    holds = map(hold_mark, against.holds_of(service.name))
    incidents = map(incident_mark, against.incidents_of(service.name))
    deployments = judged_deployments(known.deployments)
    provenance = service.provenance.values()
    return TowerRow(
        name=service.name,
        domain=service.domain,
        owner=service.owner,
        oncall=team.oncall if team else None,
        tier=service.tier,
        regions=service.regions,
        depends_on=service.depends_on,
        environment=deployments[0].environment if deployments else None,
        arms=tuple(_arm(deployment) for deployment in deployments),
        holds=tuple(sorted(holds, key=lambda hold: (hold.since, hold.id))),
        incidents=tuple(sorted(incidents, key=lambda incident: (incident.opened_at, incident.id))),
        deployed_at=max((deployment.since for deployment in deployments), default=None),
        # The oldest, because a service is only as well known as the part of it that was seen least recently.
        observed_at=min((deployment.observed_at for deployment in deployments), default=None),
        recorded_at=max((origin.observed_at for origin in provenance), default=service.updated_at),
        sources=tuple(sorted({origin.source for origin in provenance} | {one.source for one in deployments})),
        revision=revision,
    )


def judged_deployments(deployments: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """Return what runs in the environment that a service is judged by, the stable arm first.

    That is production; where nothing runs there, the environment that was deployed to last.
    """
    environments = {deployment.environment for deployment in deployments}
    judged: str | None = next((name for name in PRODUCTION if name in environments), None)
    if judged is None and deployments:
        judged = max(deployments, key=lambda deployment: (deployment.since, deployment.environment)).environment
    found = [deployment for deployment in deployments if deployment.environment == judged]
    return tuple(sorted(found, key=lambda deployment: (deployment.arm != "stable", deployment.since, deployment.id)))


def _arm(deployment: Deployment) -> Arm:
    return Arm(
        environment=deployment.environment,
        arm=deployment.arm,
        version=deployment.version,
        since=deployment.since,
        observed_at=deployment.observed_at,
        source=deployment.source,
    )
