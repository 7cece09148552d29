"""Every query of the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from companyos.operations.model import Notification, NotificationStatus
from companyos.operations.tables import notifications

_STATUSES: Final[dict[NotificationStatus, ColumnElement[bool]]] = {
    "waiting": notifications.c.next_at.is_not(None),
    "delivered": notifications.c.delivered_at.is_not(None),
    "gave_up": notifications.c.gave_up_at.is_not(None),
}


def add(connection: Connection, notification: Notification) -> bool:
    """Add a notification; False when one with its key is there, also one that another process has just added."""
    try:
        with connection.begin_nested():
            connection.execute(insert(notifications).values(msgspec.structs.asdict(notification)))
    except IntegrityError:
        return False
    return True


def by_key(connection: Connection, key: str) -> Notification | None:
    """Return the notification with a key, or None."""
    row = connection.execute(select(notifications).where(notifications.c.key == key)).mappings().first()
    return _read(row) if row else None


def page(
    connection: Connection, *, status: NotificationStatus | None, after: str | None, limit: int
) -> list[Notification]:
    """Return up to ``limit`` notifications, newest first, behind the id ``after``."""
    query = select(notifications).order_by(notifications.c.id.desc()).limit(limit)
    if status is not None:
        query = query.where(_STATUSES[status])
    if after is not None:
        query = query.where(notifications.c.id < after)
    return [_read(row) for row in connection.execute(query).mappings()]


def is_due(connection: Connection, now: datetime) -> bool:
    """Tell whether something is due at this moment."""
    query = select(notifications.c.id).where(notifications.c.next_at <= now).limit(1)
    return connection.execute(query).first() is not None


def claim(connection: Connection, now: datetime, *, until: datetime) -> Notification | None:
    """Return what has been due for longest, with this attempt counted and nobody else's until then; None when idle."""
    query = (
        select(notifications)
        .where(notifications.c.next_at <= now)
        .order_by(notifications.c.next_at, notifications.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    known = _read(row)
    claimed = msgspec.structs.replace(known, attempts=known.attempts + 1, next_at=until)
    connection.execute(
        update(notifications)
        .where(notifications.c.id == claimed.id)
        .values(attempts=claimed.attempts, next_at=claimed.next_at)
    )
    return claimed


def mark_delivered(connection: Connection, id: str, now: datetime) -> bool:
    """Write that a receiver took it; False when that is known. It holds whoever has claimed the row meanwhile."""
    done = connection.execute(
        update(notifications)
        .where(notifications.c.id == id, notifications.c.delivered_at.is_(None))
        .values(delivered_at=now, gave_up_at=None, next_at=None, last_error=None)
    )
    return done.rowcount > 0


def mark_failed(
    connection: Connection,
    claimed: Notification,
    error: str,
    *,
    next_at: datetime | None,
    gave_up_at: datetime | None = None,
) -> bool:
    """Write how a claimed attempt failed; False, and nothing, when somebody else has claimed the row since."""
    done = connection.execute(
        update(notifications)
        .where(
            notifications.c.id == claimed.id,
            notifications.c.attempts == claimed.attempts,
            notifications.c.delivered_at.is_(None),
        )
        .values(last_error=error, next_at=next_at, gave_up_at=gave_up_at)
    )
    return done.rowcount > 0


def _read(row: RowMapping) -> Notification:
    # SQLAlchemy's keys are a subclass of str, which msgspec takes for something else.
    return msgspec.convert({str(key): value for key, value in row.items()}, Notification)
