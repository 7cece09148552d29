"""Every query of the roles of a company's own; the built-in ones are in ``roles``, as code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, exc, insert, or_, select, update

from companyos.identity.errors import RoleExists
from companyos.identity.model import RoleRecord
from companyos.identity.revision import bump
from companyos.identity.tables import role_bindings, roles

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping


def load(connection: Connection) -> list[RoleRecord]:
    """Return all of them by name."""
    return [_role(row) for row in connection.execute(select(roles).order_by(roles.c.name)).mappings()]


def named(connection: Connection, names: Collection[str], *, lock: bool = False) -> dict[str, RoleRecord]:
    """Return those of these names that exist; with ``lock`` none of them is deleted until the transaction ends."""
    query = select(roles).where(roles.c.name.in_(names)).order_by(roles.c.name)
    rows = connection.execute(query.with_for_update() if lock else query).mappings()
    return {row["name"]: _role(row) for row in rows}


def find(connection: Connection, named: str, *, lock: bool = False) -> RoleRecord | None:
    """Return the role of this id or name, or None."""
    query = select(roles).where(or_(roles.c.id == named, roles.c.name == named)).order_by(roles.c.id == named)
    rows = connection.execute(query.with_for_update() if lock else query).mappings().all()
    return _role(rows[-1]) if rows else None


def add(connection: Connection, role: RoleRecord, now: datetime) -> None:
    """Add a role, or raise RoleExists."""
    bump(connection, "roles")
    row = {"id": role.id, "name": role.name, "org_id": role.org_id, "description": role.description, "created_at": now}
    try:
        connection.execute(insert(roles).values(row))
    except exc.IntegrityError as fault:
        raise RoleExists(role.name) from fault


def describe(connection: Connection, role: RoleRecord) -> None:
    """Write the description and the org of a role."""
    bump(connection, "roles")
    values = {"description": role.description, "org_id": role.org_id}
    connection.execute(update(roles).where(roles.c.id == role.id).values(values))


def holders(connection: Connection, role_id: str, now: datetime, *, limit: int) -> list[str]:
    """Return the ids of up to ``limit`` subjects with a binding of the role that has not expired."""
    query = (
        select(role_bindings.c.subject_id)
        .where(
            role_bindings.c.role_id == role_id,
            or_(role_bindings.c.expires_at.is_(None), role_bindings.c.expires_at > now),
        )
        .distinct()
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def remove(connection: Connection, role_id: str) -> None:
    """Remove a role with its bindings."""
    bump(connection, "roles")
    connection.execute(delete(role_bindings).where(role_bindings.c.role_id == role_id))
    connection.execute(delete(roles).where(roles.c.id == role_id))


def _role(row: RowMapping) -> RoleRecord:
    return RoleRecord(id=row["id"], name=row["name"], org_id=row["org_id"], description=row["description"])
