"""Every query of the Tower."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, text, update

from companyos.tower.model import Removed, TowerRow
from companyos.tower.tables import tower_cursor, tower_services

_CURSOR_ID: Final = 1
_NAMES_IN_A_QUERY: Final = 500
_COLUMNS: Final = TowerRow.__struct_fields__
_FIRST_CURSOR: Final = text(
    "INSERT INTO tower_cursor (id, position, revision) VALUES (:id, 0, 0) ON CONFLICT (id) DO NOTHING"
)


class Cursor(msgspec.Struct, frozen=True):
    """How far the projection is."""

    position: int = 0
    """Ledger entries that were read."""
    revision: int = 0
    """The highest revision of a row."""


def rows_since(connection: Connection, revision: int) -> list[TowerRow | Removed]:
    """Return the rows that were projected after a revision, oldest first; -1 gives all of them."""
    found = connection.execute(
        select(tower_services).where(tower_services.c.revision > revision).order_by(tower_services.c.revision)
    )
    return [_row(row) for row in found]


def rows(connection: Connection, names: Collection[str] | None = None) -> dict[str, TowerRow]:
    """Return the projected rows of the named services, or of all of them; removed ones are left out."""
    query = select(tower_services).where(tower_services.c.removed.is_(False))
    if names is not None and len(names) <= _NAMES_IN_A_QUERY:
        query = query.where(tower_services.c.name.in_(names))
    found = (_row(row) for row in connection.execute(query))
    return {row.name: row for row in found if isinstance(row, TowerRow) and (names is None or row.name in names)}


def owned_by(connection: Connection, teams: Collection[str]) -> set[str]:
    """Return the names of the projected services that one of these teams owns."""
    query = select(tower_services.c.name).where(tower_services.c.owner.in_(teams), tower_services.c.removed.is_(False))
    return set(connection.execute(query).scalars())


def cursor(connection: Connection) -> Cursor:
    """Return how far the projection is; zero when it never ran."""
    found = connection.execute(select(tower_cursor.c.position, tower_cursor.c.revision)).one_or_none()
    return Cursor(*found) if found else Cursor()


def lock_cursor(connection: Connection) -> Cursor:
    """Return the cursor and keep other projectors out until the transaction ends; makes it where it is missing.

    Revisions must become visible in the order in which they were given, or a reader that asks for what is newer than
    the last one would miss a row for ever. On SQLite the write transaction itself is that lock.
    """
    connection.execute(_FIRST_CURSOR, {"id": _CURSOR_ID})
    found = connection.execute(select(tower_cursor.c.position, tower_cursor.c.revision).with_for_update()).one()
    return Cursor(*found)


def move_cursor(connection: Connection, cursor: Cursor) -> None:
    """Write how far the projection is."""
    connection.execute(
        update(tower_cursor)
        .where(tower_cursor.c.id == _CURSOR_ID)
        .values(position=cursor.position, revision=cursor.revision)
    )


def replace(connection: Connection, rows: Sequence[TowerRow], removed: Iterable[Removed] = ()) -> None:
    """Write rows in the place of older ones of the same services, and marks for the removed ones."""
    values = [{**_values(row), "removed": False} for row in rows]
    values += [{**_values(TowerRow(name=gone.name, revision=gone.revision)), "removed": True} for gone in removed]
    if not values:
        return
    connection.execute(
        delete(tower_services).where(tower_services.c.name == bindparam("old_name")),
        [{"old_name": value["name"]} for value in values],
    )
    connection.execute(insert(tower_services), values)


def _row(row: Row[Any]) -> TowerRow | Removed:
    if row.removed:
        return Removed(row.name, row.revision)
    mapping = row._mapping  # noqa: SLF001 - SQLAlchemy's documented access by column name
    return msgspec.convert({name: mapping[name] for name in _COLUMNS}, TowerRow)


def _values(row: TowerRow) -> dict[str, Any]:
    plain = msgspec.to_builtins(row)
    moments = {name: getattr(row, name) for name in ("deployed_at", "observed_at", "recorded_at")}
    return {**plain, **moments}
