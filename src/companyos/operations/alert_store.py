"""Every query of alerts."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from companyos.operations.model import Alert, AlertStatus
from companyos.operations.tables import alerts


def get(connection: Connection, fingerprint: str) -> Alert | None:
    """Return what is known of an alert, or None; nobody else changes it until the transaction ends."""
    query = select(alerts).where(alerts.c.fingerprint == fingerprint).with_for_update()
    row = connection.execute(query).mappings().first()
    return _read(row) if row else None


def add(connection: Connection, alert: Alert) -> bool:
    """Add an alert; False when another process was faster (PostgreSQL has no row to lock)."""
    try:
        with connection.begin_nested():
            connection.execute(insert(alerts).values(msgspec.structs.asdict(alert)))
    except IntegrityError:
        return False
    return True


def put(connection: Connection, alert: Alert) -> None:
    """Write an alert that this transaction has locked."""
    connection.execute(
        update(alerts).where(alerts.c.fingerprint == alert.fingerprint).values(msgspec.structs.asdict(alert))
    )


def refresh(connection: Connection, heard: Alert) -> None:
    """Write that an alert still fires, and what is said of it now; nothing when it has ended or begun anew since."""
    connection.execute(
        update(alerts)
        .where(
            alerts.c.fingerprint == heard.fingerprint,
            alerts.c.status == "firing",
            alerts.c.starts_at == heard.starts_at,
            alerts.c.received_at <= heard.received_at,
        )
        .values(
            annotations=heard.annotations,
            ends_at=heard.ends_at,
            generator_url=heard.generator_url,
            received_at=heard.received_at,
        )
    )


def firing(connection: Connection, service: str, *, heard_after: datetime) -> list[Alert]:
    """Return the alerts of a service that fire and were heard after this moment, in the order in which they began."""
    query = (
        select(alerts)
        .where(alerts.c.service == service, alerts.c.status == "firing", alerts.c.received_at > heard_after)
        .order_by(alerts.c.starts_at, alerts.c.fingerprint)
    )
    return [_read(row) for row in connection.execute(query).mappings()]


def page(
    connection: Connection,
    *,
    service: str | None,
    status: AlertStatus | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Alert]:
    """Return up to ``limit`` alerts, the newest beginning first, behind the beginning and fingerprint ``after``."""
    query = select(alerts).order_by(alerts.c.starts_at.desc(), alerts.c.fingerprint).limit(limit)
    if service is not None:
        query = query.where(alerts.c.service == service)
    if status is not None:
        query = query.where(alerts.c.status == status)
    if after is not None:
        moment, fingerprint = after
        query = query.where(
            (alerts.c.starts_at < moment) | ((alerts.c.starts_at == moment) & (alerts.c.fingerprint > fingerprint))
        )
    return [_read(row) for row in connection.execute(query).mappings()]


def _read(row: RowMapping) -> Alert:
    # SQLAlchemy's keys are a subclass of str, which msgspec takes for something else.
    return msgspec.convert({str(key): value for key, value in row.items()}, Alert)
