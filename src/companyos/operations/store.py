"""Every query of operations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, insert, or_, select, update

from companyos.operations.model import (
    Approval,
    ApprovalKind,
    ApprovalStatus,
    Hold,
    Incident,
    IncidentStatus,
    TimelineEntry,
)
from companyos.operations.tables import approvals, holds, incident_timeline, incidents

Row = TypeVar("Row", Hold, Approval, Incident, TimelineEntry)
Marked = TypeVar("Marked", Hold, Incident)
_TABLES: Final[dict[type[msgspec.Struct], Table]] = {
    Hold: holds,
    Approval: approvals,
    Incident: incidents,
    TimelineEntry: incident_timeline,
}


def add(connection: Connection, row: Hold | Approval | Incident | TimelineEntry) -> None:
    """Add a row."""
    connection.execute(insert(_TABLES[type(row)]).values(_values(row)))


def put(connection: Connection, row: Hold | Approval | Incident) -> None:
    """Write a row that this transaction has locked."""
    table = _TABLES[type(row)]
    connection.execute(update(table).where(table.c.id == row.id).values(_values(row)))


def get(connection: Connection, kind: type[Row], id: str, *, lock: bool = False) -> Row | None:
    """Return a row, or None. With ``lock`` nobody else changes it until the transaction ends."""
    table = _TABLES[kind]
    query = select(table).where(table.c.id == id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _read(row, kind) if row else None


def active_holds(connection: Connection, subjects: Collection[str] | None, now: datetime) -> list[Hold]:
    """Return the holds that are active at this moment, oldest first: those on the subjects, all with None."""
    query = select(holds).where(_active(now)).order_by(holds.c.id)
    if subjects is not None:
        query = query.where(holds.c.subject.in_(subjects))
    return [_read(row, Hold) for row in connection.execute(query).mappings()]


def holds_page(
    connection: Connection, *, subject: str | None, active_at: datetime | None, after: str | None, limit: int
) -> list[Hold]:
    """Return up to ``limit`` holds, newest first, behind the id ``after``; with ``active_at`` those active then."""
    wanted = [holds.c.subject == subject] if subject is not None else []
    if active_at is not None:
        wanted.append(_active(active_at))
    return _page(connection, Hold, wanted, after=after, limit=limit)


def approvals_page(
    connection: Connection,
    *,
    subject: str | None,
    kind: ApprovalKind | None,
    status: ApprovalStatus | None,
    now: datetime,
    after: str | None,
    limit: int,
) -> list[Approval]:
    """Return up to ``limit`` approvals, newest first, that have the status at this moment."""
    wanted = [approvals.c.subject == subject] if subject is not None else []
    if kind is not None:
        wanted.append(approvals.c.kind == kind)
    if status == "expired":
        wanted.append(and_(approvals.c.status != "rejected", approvals.c.expires_at <= now))
    elif status == "rejected":
        wanted.append(approvals.c.status == status)
    elif status is not None:
        wanted.append(and_(approvals.c.status == status, approvals.c.expires_at > now))
    return _page(connection, Approval, wanted, after=after, limit=limit)


def incidents_page(
    connection: Connection,
    *,
    subject: str | None,
    statuses: Collection[IncidentStatus] | None,
    after: str | None,
    limit: int,
) -> list[Incident]:
    """Return up to ``limit`` incidents, newest first, behind the id ``after``."""
    wanted = [incidents.c.subject == subject] if subject is not None else []
    if statuses is not None:
        wanted.append(incidents.c.status.in_(statuses))
    return _page(connection, Incident, wanted, after=after, limit=limit)


def open_incidents(connection: Connection, subjects: Collection[str] | None) -> list[Incident]:
    """Return the incidents that are not closed, oldest first: those about the subjects, all with None."""
    query = select(incidents).where(incidents.c.status != "closed").order_by(incidents.c.id)
    if subjects is not None:
        query = query.where(incidents.c.subject.in_(subjects))
    return [_read(row, Incident) for row in connection.execute(query).mappings()]


def timeline_page(connection: Connection, incident_id: str, *, after: str | None, limit: int) -> list[TimelineEntry]:
    """Return up to ``limit`` entries of a timeline, oldest first, behind the id ``after``."""
    query = (
        select(incident_timeline)
        .where(incident_timeline.c.incident_id == incident_id)
        .order_by(incident_timeline.c.id)
        .limit(limit)
    )
    rows = connection.execute(query.where(incident_timeline.c.id > after) if after is not None else query).mappings()
    return [TimelineEntry(**row) for row in rows]


def by_subject(rows: Iterable[Marked]) -> dict[str, tuple[Marked, ...]]:
    """Return holds or incidents by their subject, in the order they came."""
    found: defaultdict[str, list[Marked]] = defaultdict(list)
    for row in rows:
        found[row.subject].append(row)
    return {subject: tuple(items) for subject, items in found.items()}


def _page(
    connection: Connection,
    kind: type[Row],
    wanted: list[ColumnElement[bool]],
    *,
    after: str | None,
    limit: int,
) -> list[Row]:
    table = _TABLES[kind]
    query = select(table).where(*wanted).order_by(table.c.id.desc()).limit(limit)
    rows = connection.execute(query.where(table.c.id < after) if after is not None else query).mappings()
    return [_read(row, kind) for row in rows]


def _active(now: datetime) -> ColumnElement[bool]:
    return and_(holds.c.lifted_at.is_(None), or_(holds.c.until.is_(None), holds.c.until > now))


def _read(row: RowMapping, kind: type[Row]) -> Row:
    # SQLAlchemy's keys are a subclass of str, which msgspec takes for something else.
    return msgspec.convert({str(key): value for key, value in row.items()}, kind)


def _values(row: msgspec.Struct) -> dict[str, Any]:
    values = msgspec.structs.asdict(row)
    return values | ({"links": msgspec.to_builtins(row.links)} if isinstance(row, Incident) else {})
