"""The revisions that a directory follows: one counter a part, raised in the transaction that changes the part.

The row of a counter is locked until the transaction ends, so revisions become visible in their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from companyos.identity.tables import identity_revisions

if TYPE_CHECKING:
    from sqlalchemy import Connection

Part: TypeAlias = Literal["places", "roles", "subjects"]
"""Raise those of one transaction in this order and after all other locks, so that nobody waits in a ring."""


def bump(connection: Connection, part: Part) -> int:
    """Raise the counter of a part and return it."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(identity_revisions)
        .values(part=part, revision=1)
        .on_conflict_do_update(index_elements=["part"], set_={"revision": identity_revisions.c.revision + 1})
        .returning(identity_revisions.c.revision)
    )
    revision: int = connection.execute(statement).scalar_one()
    return revision


def revisions(connection: Connection) -> dict[str, int]:
    """Return the counters by part; a part that never changed is left out."""
    query = select(identity_revisions.c.part, identity_revisions.c.revision)
    return {row.part: row.revision for row in connection.execute(query)}
