"""The tables of the ledger; their migration is in ``companyos.migrations``.

``ledger_entries`` has its index and its body, and nothing else: no column can say what the leaf does not. Readers find
records through indexes over the body itself, so what they filter by cannot differ from what was signed either.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement

from companyos.core.database import metadata

_Position: Final = BigInteger().with_variant(Integer, "sqlite")
"""A number of 64 bits; SQLite calls all of them INTEGER, and only that name makes it the key of the row itself."""

BODY_FIELD: Final = {
    # A body that somebody broke must not break the index, or `verify` could never name it.
    "sqlite": "CASE WHEN json_valid(body) THEN json_extract(body, '$.{name}') END",
    "postgresql": "body::json ->> '{name}'",
}
"""How a field of the body is read in SQL; an index is used only for the very same expression."""


class body_field(ColumnElement[str]):  # noqa: N801 - reads as a function of SQL
    """A text field of the canonical record, as an expression over the column ``body``."""

    inherit_cache = False
    type = Text()

    def __init__(self, name: str) -> None:
        """Take the name of a field at the top of the body; it is written into the statement as it is."""
        if not name.isidentifier():
            raise ValueError(f"{name!r} is not the name of a field")
        self.name = name


@compiles(body_field)
def _compile(element: body_field, compiler: SQLCompiler, **_options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's call
    return f"({BODY_FIELD[compiler.dialect.name].format(name=element.name)})"


ledger_entries: Final = Table(
    "ledger_entries",
    metadata,
    Column("idx", _Position, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
)

INDEXED: Final = ("id", "service")
"""The fields of the body that have an index. Each costs every append; a filter by another field reads a bounded number
of records a page instead, at about a microsecond a record."""

for _name in INDEXED:
    Index(f"ix_ledger_entries_{_name}", body_field(_name), ledger_entries.c.idx)

ledger_head: Final = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", _Position, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("checkpoint", Text, nullable=False),
)

ledger_tiles: Final = Table(
    "ledger_tiles",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", _Position, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

ledger_personal: Final = Table(
    "ledger_personal",
    metadata,
    Column("idx", _Position, primary_key=True, autoincrement=False),
    Column("field", String(63), primary_key=True),
    Column("salt", LargeBinary),
    Column("value", Text),
    Column("erased_by", _Position),
    sqlite_with_rowid=False,
)
"""Salt and value are NULL when one value was erased, and ``erased_by`` is the index of the record that says so. The
rows of records that retention has reached are gone altogether."""

ledger_reads: Final = Table(
    "ledger_reads",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("actor", String(200), primary_key=True),
    Column("action", String(64), primary_key=True),
    Column("count", _Position, nullable=False),
    sqlite_with_rowid=False,
)
"""How often an actor read what on a day (UTC): reads are counted, not recorded one by one."""
