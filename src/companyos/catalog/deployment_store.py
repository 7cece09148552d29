"""Every query of the catalog about what runs where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from companyos.catalog.model import Deployment
from companyos.catalog.store import chunks
from companyos.catalog.tables import deployments


def running_in(connection: Connection, service: str, environment: str, arm: str) -> Deployment | None:
    """Return what runs in an arm of an environment, or None."""
    query = select(deployments).where(
        deployments.c.service == service,
        deployments.c.environment == environment,
        deployments.c.arm == arm,
        deployments.c.until.is_(None),
    )
    row = connection.execute(query).mappings().first()
    return Deployment(**row) if row else None


def running(connection: Connection, services: Collection[str] | None = None) -> dict[str, tuple[Deployment, ...]]:
    """Return what runs now by service, in the order of environment and arm; of all services without ``services``."""
    query = (
        select(deployments)
        .where(deployments.c.until.is_(None))
        .order_by(deployments.c.service, deployments.c.environment, deployments.c.arm)
    )
    found: defaultdict[str, list[Deployment]] = defaultdict(list)
    for chunk in [None] if services is None else chunks(sorted(services)):
        rows = connection.execute(query if chunk is None else query.where(deployments.c.service.in_(chunk))).mappings()
        for row in rows:
            found[row["service"]].append(Deployment(**row))
    return {service: tuple(items) for service, items in found.items()}


def page(
    connection: Connection, service: str, *, ended: bool, environment: str | None, after: str | None, limit: int
) -> list[Deployment]:
    """Return up to ``limit`` deployments of a service, newest first, behind the id ``after``.

    With ``ended`` also those that run no more.
    """
    query = select(deployments).where(deployments.c.service == service).order_by(deployments.c.id.desc()).limit(limit)
    if not ended:
        query = query.where(deployments.c.until.is_(None))
    if environment is not None:
        query = query.where(deployments.c.environment == environment)
    if after is not None:
        query = query.where(deployments.c.id < after)
    return [Deployment(**row) for row in connection.execute(query).mappings()]


def start(connection: Connection, deployment: Deployment) -> None:
    """Add a deployment."""
    row = {field: getattr(deployment, field) for field in deployment.__struct_fields__}
    connection.execute(insert(deployments).values(row))


def refresh(connection: Connection, deployment: Deployment) -> None:
    """Write the weight, the source and the time of the last observation."""
    connection.execute(
        update(deployments)
        .where(deployments.c.id == deployment.id)
        .values(weight_ratio=deployment.weight_ratio, source=deployment.source, observed_at=deployment.observed_at)
    )


def end(connection: Connection, id: str, until: datetime) -> None:
    """Write when a deployment ended."""
    connection.execute(update(deployments).where(deployments.c.id == id).values(until=until))
