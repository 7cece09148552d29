"""Every query of attributes, and of the subjects that other issuers know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, exc, insert, or_, select, update

from companyos.core.errors import Conflict
from companyos.identity.attribute import Attribute, Place, from_row, write_value
from companyos.identity.tables import attributes, issuer_subjects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from companyos.identity.attribute import Scope

_CHUNK = 500


def of_places(
    connection: Connection, places: Iterable[Place], *, names: Collection[str] | None = None, lock: bool = False
) -> list[Attribute]:
    """Return what is said of these subjects, orgs and workspaces, by name; of the given names only, when there are any.

    With ``lock`` the rows that are there stay as they are until the transaction ends.
    """
    ids: dict[Scope, list[str]] = {}
    for place in places:
        ids.setdefault(place.scope, []).append(place.id)
    found: list[Attribute] = []
    for scope, wanted in sorted(ids.items()):
        for start in range(0, len(wanted), _CHUNK):
            query = select(attributes).where(attributes.c[f"{scope}_id"].in_(wanted[start : start + _CHUNK]))
            if names is not None:
                query = query.where(attributes.c.name.in_(names))
            query = query.order_by(attributes.c[f"{scope}_id"], attributes.c.name)
            rows = connection.execute(query.with_for_update() if lock else query).mappings()
            found += [from_row(row) for row in rows]
    return found


def around(connection: Connection, subject_id: str, *, org_id: str | None, workspace_id: str | None) -> list[Attribute]:
    """Return all that is said of a subject, of its org and of a workspace."""
    places: list[ColumnElement[bool]] = [attributes.c.subject_id == subject_id]
    if org_id is not None:
        places.append(attributes.c.org_id == org_id)
    if workspace_id is not None:
        places.append(attributes.c.workspace_id == workspace_id)
    rows = connection.execute(select(attributes).where(or_(*places)).order_by(attributes.c.name)).mappings()
    return [from_row(row) for row in rows]


def page(
    connection: Connection, *, place: Place | None, scope: Scope | None, name: str | None, after: str | None, limit: int
) -> list[Attribute]:
    """Return up to ``limit`` attributes that match all that is given, in the order of their ids."""
    query = select(attributes).order_by(attributes.c.id).limit(limit)
    if place is not None:
        query = query.where(attributes.c[f"{place.scope}_id"] == place.id)
    if scope is not None:
        query = query.where(attributes.c.scope == scope)
    if name is not None:
        query = query.where(attributes.c.name == name)
    if after is not None:
        query = query.where(attributes.c.id > after)
    return [from_row(row) for row in connection.execute(query).mappings()]


def put(connection: Connection, stated: Sequence[Attribute]) -> None:
    """Write attributes, each in the place of the one with the same id.

    Raises Conflict when somebody else has set one of them for the first time in this moment.
    """
    for start in range(0, len(stated), _CHUNK):
        part = stated[start : start + _CHUNK]
        connection.execute(delete(attributes).where(attributes.c.id.in_([one.id for one in part])))
        try:
            with connection.begin_nested():
                connection.execute(insert(attributes), [_row(one) for one in part])
        except exc.IntegrityError as fault:
            raise Conflict("An attribute was set by somebody else at the same time.", next_step="Try again.") from fault


def remove(connection: Connection, ids: Sequence[str]) -> None:
    """Remove attributes."""
    for start in range(0, len(ids), _CHUNK):
        connection.execute(delete(attributes).where(attributes.c.id.in_(ids[start : start + _CHUNK])))


def _row(attribute: Attribute) -> dict[str, Any]:
    return msgspec.structs.asdict(attribute) | {"value": write_value(attribute.value)}


# --- subjects of other issuers ----------------------------------------------------------------------------------------


def issuer_subject(connection: Connection, issuer: str, sub: str, *, lock: bool = False) -> tuple[str, datetime] | None:
    """Return the id of the subject that an issuer calls ``sub``, and the newest ``iat`` taken over, or None."""
    query = select(issuer_subjects.c.subject_id, issuer_subjects.c.said_at).where(
        issuer_subjects.c.issuer == issuer, issuer_subjects.c.sub == sub
    )
    row = connection.execute(query.with_for_update() if lock else query).first()
    return (row.subject_id, row.said_at) if row else None


def link(connection: Connection, issuer: str, sub: str, subject_id: str, now: datetime, said_at: datetime) -> None:
    """Say which subject an issuer's ``sub`` is. Raises Conflict when somebody else does in this moment."""
    row = {"issuer": issuer, "sub": sub, "subject_id": subject_id, "created_at": now, "said_at": said_at}
    try:
        with connection.begin_nested():
            connection.execute(insert(issuer_subjects).values(row))
    except exc.IntegrityError as fault:
        raise Conflict("The token was accepted by somebody else at the same time.", next_step="Try again.") from fault


def heard(connection: Connection, issuer: str, sub: str, said_at: datetime) -> None:
    """Write the newest ``iat`` whose claims were taken over."""
    where = (issuer_subjects.c.issuer == issuer, issuer_subjects.c.sub == sub)
    connection.execute(update(issuer_subjects).where(*where).values(said_at=said_at))
