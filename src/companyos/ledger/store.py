"""The queries of readers, of erasure and of the counts of reads; ``append`` and ``raw`` speak to the driver itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from companyos.core.clock import rfc3339
from companyos.ledger.model import Filter
from companyos.ledger.tables import (
    INDEXED,
    body_field,
    ledger_entries,
    ledger_head,
    ledger_personal,
    ledger_reads,
)

SCANNED: Final = 20_000
"""How many records a page reads at most to find those that match a filter without an index."""


class StoredPersonal(msgspec.Struct, frozen=True):
    """A row beside the tree: a personal value, or that it was erased."""

    index: int
    field: str
    salt: bytes | None
    value: str | None
    erased_by: int | None


def next_index(connection: Connection) -> int:
    """Return the index that the next record of this write transaction gets; nobody else can append before it ends."""
    size = connection.execute(select(ledger_head.c.size).where(ledger_head.c.id == 1).with_for_update())
    return size.scalar_one_or_none() or 0


def find(connection: Connection, record_id: str) -> tuple[int, bytes] | None:
    """Return index and body of the record with this id, or None; the first one, should somebody have copied it."""
    found, _ = search(connection, Filter(id=record_id), start=0, limit=1, newest_first=False)
    return found[0] if found else None


def search(
    connection: Connection, wanted: Filter, *, start: int, limit: int, newest_first: bool
) -> tuple[list[tuple[int, bytes]], int | None]:
    """Return up to ``limit`` matching records from index ``start`` on, and where to go on, or None at the end.

    Where no index helps, at most ``SCANNED`` records are read, so a page may hold fewer than there are.
    """
    index = ledger_entries.c.idx
    end = connection.execute(select(func.max(index))).scalar_one()
    if end is None:
        return [], None
    query: Select[Any] = select(index, _body(connection)).where(*_conditions(wanted)).limit(limit + 1)
    is_bounded = not any(getattr(wanted, name) is not None for name in INDEXED)
    if newest_first:
        stop = max(0, start - SCANNED + 1) if is_bounded else 0
        query = query.where(index.between(stop, start)).order_by(index.desc())
    else:
        stop = min(end, start + SCANNED - 1) if is_bounded else end
        query = query.where(index.between(start, stop)).order_by(index)
    rows = [(row[0], bytes(row[1])) for row in connection.execute(query)]
    if len(rows) > limit:
        return rows[:limit], rows[limit][0]
    if newest_first:
        return rows, (stop - 1 if stop > 0 else None)
    return rows, (stop + 1 if stop < end else None)


def personal(connection: Connection, indexes: Sequence[int]) -> dict[int, list[StoredPersonal]]:
    """Return what is stored beside the records with these indexes, by index."""
    if not indexes:
        return {}
    found: dict[int, list[StoredPersonal]] = {}
    for row in connection.execute(_PERSONAL.where(ledger_personal.c.idx.in_(indexes))):
        found.setdefault(row.idx, []).append(StoredPersonal(*row))
    return found


def first_personal(connection: Connection) -> int | None:
    """Return the lowest index that still has a row beside it, or None."""
    index: int | None = connection.execute(select(func.min(ledger_personal.c.idx))).scalar_one()
    return index


def erase_value(connection: Connection, index: int, field: str, *, erased_by: int) -> bool:
    """Erase one value and its salt; False when it is not there (any more)."""
    _overwrite_deleted(connection)
    done = connection.execute(
        update(ledger_personal)
        .where(ledger_personal.c.idx == index, ledger_personal.c.field == field, ledger_personal.c.erased_by.is_(None))
        .values(salt=None, value=None, erased_by=erased_by)
    )
    return done.rowcount == 1


def erase_through(connection: Connection, index: int) -> int:
    """Remove all rows beside the records up to and including ``index``; return how many there were."""
    _overwrite_deleted(connection)
    return connection.execute(delete(ledger_personal).where(ledger_personal.c.idx <= index)).rowcount


def add_reads(connection: Connection, counts: Mapping[tuple[date, str, str], int]) -> None:
    """Add to the counts of reads, by day, actor and action."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # One order for all writers, so that two of them never wait for each other.
    rows = [
        {"day": day.isoformat(), "actor": actor, "action": action, "count": count}
        for (day, actor, action), count in sorted(counts.items())
    ]
    statement = insert(ledger_reads)
    statement = statement.on_conflict_do_update(
        index_elements=[ledger_reads.c.day, ledger_reads.c.actor, ledger_reads.c.action],
        set_={"count": ledger_reads.c.count + statement.excluded.count},
    )
    connection.execute(statement, rows)


def reads(connection: Connection, *, start: tuple[str, ...] | None, limit: int) -> list[tuple[str, str, str, int]]:
    """Return counts of reads, newest day first, behind the given key."""
    key = tuple_(ledger_reads.c.day, ledger_reads.c.actor, ledger_reads.c.action)
    query = select(ledger_reads).order_by(*(column.desc() for column in key.clauses)).limit(limit)
    if start is not None:
        query = query.where(key < start)
    return [(day, actor, action, count) for day, actor, action, count in connection.execute(query)]


_PERSONAL: Final = select(
    ledger_personal.c.idx,
    ledger_personal.c.field,
    ledger_personal.c.salt,
    ledger_personal.c.value,
    ledger_personal.c.erased_by,
)


_BODY: Final = {"sqlite": "CAST(body AS BLOB)", "postgresql": "convert_to(body, 'UTF8')"}
"""The body as bytes, so that a text which somebody broke can still be read, compared and named."""


def _body(connection: Connection) -> ColumnElement[Any]:
    return literal_column(_BODY[connection.dialect.name])


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        body_field(name) == getattr(wanted, name)
        for name in ("id", "actor", "verb", "target", "service", "decision")
        if getattr(wanted, name) is not None
    ]
    # The text of a moment has one width, so it sorts as the moments do.
    if wanted.since is not None:
        conditions.append(body_field("time") >= rfc3339(wanted.since))
    if wanted.until is not None:
        conditions.append(body_field("time") < rfc3339(wanted.until))
    return conditions


def _overwrite_deleted(connection: Connection) -> None:
    """Make SQLite write zeros over what the next statements delete, instead of leaving it in free pages."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA secure_delete = ON"))
