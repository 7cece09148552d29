"""The queries of what was seen: ticks, and where reading stopped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from companyos.delivery.model import Observation
from companyos.delivery.tables import delivery_positions, release_ticks


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """What one tick saw, and the evidence after it."""

    number: int
    at: datetime
    observation: Observation
    evidence: dict[str, Any] = {}


def add_ticks(connection: Connection, release_id: str, ticks: Sequence[Tick]) -> None:
    """Add what ticks saw; a number that is there already stays as it is."""
    if not ticks:
        return
    numbers = select(release_ticks.c.number).where(
        release_ticks.c.release_id == release_id, release_ticks.c.number >= ticks[0].number
    )
    known = {row.number for row in connection.execute(numbers)}
    rows = [
        {
            "release_id": release_id,
            "number": tick.number,
            "at": tick.at,
            "observation": lean(tick.observation),
            "evidence": tick.evidence,
        }
        for tick in ticks
        if tick.number not in known
    ]
    if rows:
        connection.execute(insert(release_ticks), rows)


def ticks(connection: Connection, release_id: str, *, after: int = 0, limit: int | None = None) -> list[Tick]:
    """Return what was seen of a release, oldest first, behind the number ``after``."""
    query = (
        select(release_ticks)
        .where(release_ticks.c.release_id == release_id, release_ticks.c.number > after)
        .order_by(release_ticks.c.number)
        .limit(limit)
    )
    return [
        Tick(
            number=row.number,
            at=row.at,
            observation=msgspec.convert(row.observation, Observation),
            evidence=row.evidence,
        )
        for row in connection.execute(query)
    ]


def last_tick(connection: Connection, release_id: str) -> int:
    """Return the number of the newest tick of a release, 0 before the first."""
    query = select(release_ticks.c.number).where(release_ticks.c.release_id == release_id)
    return connection.execute(query.order_by(release_ticks.c.number.desc()).limit(1)).scalar() or 0


def position(connection: Connection, name: str) -> str | None:
    """Return where reading stopped, or None before the first time."""
    query = select(delivery_positions.c.position).where(delivery_positions.c.name == name)
    return connection.execute(query).scalar()


def put_position(connection: Connection, name: str, where: str, at: datetime) -> None:
    """Write where reading stopped."""
    values = {"position": where, "at": at}
    done = connection.execute(update(delivery_positions).where(delivery_positions.c.name == name).values(values))
    if done.rowcount == 0:
        connection.execute(insert(delivery_positions).values(name=name, **values))


def lean(value: msgspec.Struct) -> dict[str, Any]:
    """Return a value as JSON without the fields that have their default; reading it gives the same value."""
    kept: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        here = getattr(value, field.name)
        if field.default is msgspec.NODEFAULT or here != field.default:
            kept[field.name] = _lean(here)
    return kept


def _lean(value: Any) -> Any:  # noqa: ANN401 - the value of any field
    if isinstance(value, msgspec.Struct):
        return lean(value)
    if isinstance(value, tuple):
        return [_lean(item) for item in value]
    return msgspec.to_builtins(value)
