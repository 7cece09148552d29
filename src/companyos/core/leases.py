"""Leases: at most one holder of a name at a time, over threads, processes and machines that share a database.

A holder that is killed simply stops renewing. The fence grows with every change of holder, so that a late writer can be
told from the present one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Column, Connection, Integer, Row, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from companyos.core.database import UtcDateTime, metadata

if TYPE_CHECKING:
    from companyos.core.clock import Clock
    from companyos.core.database import Database

leases = Table(
    "leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("fence", Integer, nullable=False),
)


class Lease(msgspec.Struct, frozen=True):
    """A name that is held until a moment, unless it is renewed."""

    name: str
    holder: str
    expires_at: datetime
    fence: int


class Leases:
    """The leases in a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take the database that is shared and the clock that says when a lease is over."""
        self._database = database
        self._clock = clock

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """Return the lease for this holder, newly taken or renewed, or None while somebody else has it."""
        now = self._clock.now()
        with self._database.write() as connection:
            row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one_or_none()
            if row is not None and row.holder != holder and row.expires_at > now:
                return None
            lease = Lease(name, holder, now + timedelta(seconds=ttl_s), _fence(row, holder, now))
            values = msgspec.structs.asdict(lease)
            if row is None:
                if not _insert(connection, values):
                    return None
            else:
                connection.execute(update(leases).where(leases.c.name == name).values(values))
            return lease

    def release(self, lease: Lease) -> None:
        """Give the name free at once; nothing happens when somebody else holds it by now."""
        with self._database.write() as connection:
            connection.execute(
                update(leases)
                .where(leases.c.name == lease.name, leases.c.fence == lease.fence, leases.c.holder == lease.holder)
                .values(expires_at=self._clock.now())
            )

    def held(self) -> list[Lease]:
        """Return the leases that are not over, by name."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(leases).where(leases.c.expires_at > self._clock.now()).order_by(leases.c.name)
            )
            return [Lease(row.name, row.holder, row.expires_at, row.fence) for row in rows]


def _insert(connection: Connection, values: dict[str, object]) -> bool:
    """Take a name that nobody has held yet; False when another process was faster (PostgreSQL has no row to lock)."""
    try:
        with connection.begin_nested():
            connection.execute(insert(leases).values(values))
    except IntegrityError:
        return False
    return True


def _fence(row: Row[tuple[str, str, datetime, int]] | None, holder: str, now: datetime) -> int:
    """Return the fence of the next lease: the same for a renewal in time, one more for a new holding."""
    if row is None:
        return 1
    fence: int = row.fence
    return fence if row.holder == holder and row.expires_at > now else fence + 1
