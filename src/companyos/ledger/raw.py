"""What is stored, as bytes: read past SQLAlchemy, because verification reads everything, and past what types promise.

SQLite keeps whatever somebody with another program puts into a column: text that is no text, a text where bytes should
be. Such a thing must come out as a value that differs, never as an exception, or verification could not name it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from companyos.core.errors import Unavailable
from companyos.ledger.personal import PersonalRow
from companyos.ledger.tiles import HEIGHT, Frontier, Tile

_TEXT: Final = {"sqlite": "{0}", "postgresql": "convert_to({0}, 'UTF8')"}
"""How a text is read as bytes; SQLite's driver gives all texts so while ``_rows`` reads."""

_TILES_READ: Final = 4096


class Head(msgspec.Struct, frozen=True):
    """The newest state of the tree as it is stored."""

    size: int
    """How many records there are; -1 when what is stored is no number."""
    frontier: bytes
    checkpoint: str

    def tree(self) -> Frontier:
        """Return the frontier; raises IntegrityFault when it does not fit the size."""
        return Frontier.decode(self.size, self.frontier)


def head(connection: Connection) -> Head | None:
    """Return the stored head, or None while nothing was ever appended."""
    statement = f"SELECT size, frontier, {_text(connection, 'checkpoint')} FROM ledger_head WHERE id = 1"  # noqa: S608 - see _text
    for size, frontier, checkpoint in _rows(connection, statement):
        note = checkpoint.decode(errors="replace") if isinstance(checkpoint, bytes) else ""
        return Head(size if isinstance(size, int) else -1, _bytes(frontier), note)
    return None


def bodies(connection: Connection, first: int, limit: int) -> list[tuple[int, bytes | None]]:
    """Return index and body of up to ``limit`` records from index ``first`` on, in order."""
    body = _text(connection, "body")
    statement = f"SELECT idx, {body} FROM ledger_entries WHERE idx >= ? ORDER BY idx LIMIT ?"  # noqa: S608 - see _text
    return _rows(connection, statement, first, limit)


def body_at(connection: Connection, index: int) -> bytes | None:
    """Return the canonical record at an index, or None."""
    found = bodies(connection, index, 1)
    return found[0][1] if found and found[0][0] == index else None


def tile(connection: Connection, level: int, index: int) -> bytes | None:
    """Return the hashes of a full tile, or None when it is not stored."""
    statement = "SELECT hashes FROM ledger_tiles WHERE level = ? AND idx = ?"
    return next((_bytes(row[0]) for row in _rows(connection, statement, level, index)), None)


class Tables:
    """One moment of the tables, as verification reads them."""

    def __init__(self, connection: Connection) -> None:
        """Take a connection in a read transaction."""
        self._connection = connection

    def records(self, first: int, limit: int) -> list[tuple[int, bytes | None]]:
        """Return index and body of up to ``limit`` records from index ``first`` on, in order."""
        return bodies(self._connection, first, limit)

    def personal(self, first: int, last: int) -> list[PersonalRow]:
        """Return the rows beside the records ``first`` up to and including ``last``."""
        field, value = _text(self._connection, "field"), _text(self._connection, "value")
        statement = f"SELECT idx, {field}, salt, {value}, erased_by FROM ledger_personal WHERE idx BETWEEN ? AND ?"  # noqa: S608 - see _text
        return _rows(self._connection, statement, first, last)

    def tiles(self, wanted: Sequence[Tile]) -> dict[tuple[int, int], bytes]:
        """Return the stored hashes at the places of the given tiles, by level and index; absent ones are left out."""
        places: dict[int, list[int]] = {}
        for one in wanted:
            places.setdefault(one.level, []).append(one.index)
        statement = "SELECT idx, hashes FROM ledger_tiles WHERE level = ? AND idx BETWEEN ? AND ?"
        return {
            (level, index): _bytes(hashes)
            for level, indexes in places.items()
            for index, hashes in _rows(self._connection, statement, level, min(indexes), max(indexes))
        }

    def tiles_of_level(self, level: int, size: int) -> Iterator[bytes]:
        """Yield the hashes of the full tiles that a tree of this size has on a level, as far as they are stored."""
        statement = "SELECT hashes FROM ledger_tiles WHERE level = ? AND idx BETWEEN ? AND ? ORDER BY idx"
        count = size >> HEIGHT * (level + 1)
        for first in range(0, count, _TILES_READ):
            last = min(count, first + _TILES_READ) - 1
            for (hashes,) in _rows(self._connection, statement, level, first, last):
                yield _bytes(hashes)

    def lowest(self) -> int | None:
        """Return the lowest index of all records, or None."""
        found = bodies(self._connection, -(2**63), 1)
        return found[0][0] if found else None

    def stray(self, size: int) -> int | None:
        """Return the lowest index that a tile or a personal value is about outside a ledger of this size, or None."""
        counts = {level: size >> HEIGHT * (level + 1) for level in range(64 // HEIGHT)}
        known = " OR ".join(f"level = {level} AND idx BETWEEN 0 AND {count - 1}" for level, count in counts.items())
        tiles = f"SELECT level, idx FROM ledger_tiles WHERE NOT ({known}) ORDER BY level, idx LIMIT 1"  # noqa: S608 - numbers
        found = [
            max(0, index) << HEIGHT * (max(0, level) + 1) if isinstance(index, int) and isinstance(level, int) else size
            for level, index in _rows(self._connection, tiles)
        ]
        for outside in ("idx < 0 ORDER BY idx LIMIT 1", f"idx >= {size:d} ORDER BY idx LIMIT 1"):
            beside = _rows(self._connection, f"SELECT idx FROM ledger_personal WHERE {outside}")  # noqa: S608 - numbers
            found += [index if isinstance(index, int) else size for (index,) in beside]
        return min(found, default=None)


def _text(connection: Connection, column: str) -> str:
    """Return the expression that reads a column of text as bytes; the names are written in this file."""
    return _TEXT[connection.dialect.name].format(column)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _rows(connection: Connection, statement: str, *parameters: int) -> list[Any]:
    """Return the rows as the driver gives them, with texts as bytes."""
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    try:
        if isinstance(driver, sqlite3.Connection):
            return _sqlite_rows(driver, statement, parameters)
        with driver.cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), parameters)
            rows: list[Any] = cursor.fetchall()
            return rows
    except errors.Error as fault:
        raise Unavailable(
            f"The {connection.dialect.name} database did not give the ledger: {fault}.",
            next_step="Run `companyos doctor`; it says what the database needs.",
        ) from fault


def _sqlite_rows(driver: sqlite3.Connection, statement: str, parameters: tuple[int, ...]) -> list[Any]:
    driver.text_factory = bytes
    try:
        return driver.execute(statement, parameters).fetchall()
    finally:
        driver.text_factory = str
