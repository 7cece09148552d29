"""The append: the last statements of a write transaction, and the limit of how much the whole platform can write.

It speaks to the driver itself, because SQLAlchemy would cost more time than the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from companyos.core.errors import IntegrityFault, Unavailable
from companyos.ledger.body import Sealed
from companyos.ledger.merkle import leaf_hash
from companyos.ledger.tiles import Frontier

_NEXT_STEP: Final = "Run `companyos ledger verify`, and restore the database from a backup."

_HEAD: Final = {
    # A write transaction on SQLite is alone from its beginning; on PostgreSQL the head is what appenders queue for.
    "sqlite": "SELECT size, frontier FROM ledger_head WHERE id = 1",
    "postgresql": "SELECT size, frontier FROM ledger_head WHERE id = 1 FOR UPDATE",
}
_FIRST_HEAD: Final = (
    "INSERT INTO ledger_head (id, size, frontier, checkpoint) VALUES (1, 0, ?, '') ON CONFLICT (id) DO NOTHING"
)
_ENTRY: Final = "INSERT INTO ledger_entries (idx, body) VALUES (?, ?)"
_PERSONAL: Final = "INSERT INTO ledger_personal (idx, field, salt, value) VALUES (?, ?, ?, ?)"
_TILE: Final = "INSERT INTO ledger_tiles (level, idx, hashes) VALUES (?, ?, ?)"
_UPDATE_HEAD: Final = "UPDATE ledger_head SET size = ?, frontier = ?, checkpoint = ? WHERE id = 1"


def append(connection: Connection, entries: Sequence[Sealed], sign: Callable[[int, bytes], str]) -> int:
    """Append the entries to the tree and return the index of the first; call it last in a write transaction.

    ``sign(size, root)`` gives the checkpoint that covers them. Raises IntegrityFault when what is stored contradicts
    itself, Unavailable when the database cannot be written.
    """
    dialect = connection.dialect.name
    driver = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    if driver is None:  # pragma: no cover - SQLAlchemy gives a pooled connection its driver
        raise Unavailable("The connection to the database is gone.")
    cursor = driver.cursor()
    try:
        return _append(_Cursor(cursor, dialect), _HEAD[dialect], entries, sign)
    except errors.IntegrityError as fault:
        raise IntegrityFault(
            f"The head of the ledger does not fit its records: {fault}.",
            next_step=_NEXT_STEP,
        ) from fault
    except errors.Error as fault:
        raise Unavailable(
            f"The {dialect} database did not take the ledger record: {fault}.",
            next_step="Run `companyos doctor`; it says what the database needs.",
        ) from fault
    finally:
        cursor.close()


class _Cursor:
    """The driver's cursor, with statements written once for both."""

    def __init__(self, cursor: Any, dialect: str) -> None:  # noqa: ANN401 - a DB-API cursor of either driver
        self._cursor = cursor
        self._is_postgresql = dialect == "postgresql"

    def one(self, statement: str) -> tuple[object, object] | None:
        self._cursor.execute(statement)
        row: tuple[object, object] | None = self._cursor.fetchone()
        return row

    def execute(self, statement: str, *rows: tuple[object, ...]) -> None:
        """Run the statement for each row of parameters."""
        if self._is_postgresql:
            statement = statement.replace("?", "%s")
        if len(rows) == 1:
            self._cursor.execute(statement, rows[0])
        elif rows:
            self._cursor.executemany(statement, rows)


def _append(cursor: _Cursor, head: str, entries: Sequence[Sealed], sign: Callable[[int, bytes], str]) -> int:
    row = cursor.one(head)
    if row is None:
        cursor.execute(_FIRST_HEAD, (b"",))
        row = cursor.one(head)
    if row is None:
        raise IntegrityFault("The head of the ledger cannot be made.")
    first, stored = row
    if not isinstance(first, int) or not isinstance(stored, bytes):
        raise IntegrityFault("The head of the ledger is not what an append has written.", next_step=_NEXT_STEP)
    frontier, tiles = Frontier.decode(first, stored).extend([leaf_hash(entry.body) for entry in entries])
    cursor.execute(_ENTRY, *[(index, entry.body.decode()) for index, entry in enumerate(entries, first)])
    cursor.execute(
        _PERSONAL,
        *[
            (index, value.field, value.salt, value.value)
            for index, entry in enumerate(entries, first)
            for value in entry.personal
        ],
    )
    cursor.execute(_TILE, *[(tile.level, tile.index, tile.hashes) for tile in tiles])
    cursor.execute(_UPDATE_HEAD, (frontier.size, frontier.encode(), sign(frontier.size, frontier.root())))
    return first
