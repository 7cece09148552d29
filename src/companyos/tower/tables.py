"""Tables of the Tower: one row a service, and how far the ledger was read. Only the projector writes them.

Both are derived: they can be dropped and made again from the catalog and operations (``companyos tower rebuild``), and
so their writes are not in the ledger. There is no state column, because a state also depends on the hour: see
``condition.judge``.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, Text, false

from companyos.core.database import Json, UtcDateTime, metadata

tower_services: Final = Table(
    "tower_services",
    metadata,
    Column("name", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("removed", Boolean, nullable=False, server_default=false()),
    Column("domain", Text),
    Column("owner", Text),
    Column("oncall", Text),
    Column("tier", Text),
    Column("regions", Json, nullable=False),
    Column("depends_on", Json, nullable=False),
    Column("environment", Text),
    Column("arms", Json, nullable=False),
    Column("holds", Json, nullable=False),
    Column("incidents", Json, nullable=False),
    Column("deployed_at", UtcDateTime),
    Column("observed_at", UtcDateTime),
    Column("recorded_at", UtcDateTime),
    Column("sources", Json, nullable=False),
)
"""One row a service. A removed one stays as a mark, so that readers that ask for what is new learn that it went."""

tower_cursor: Final = Table(
    "tower_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
"""One row with id 1: how many ledger entries were read, and the highest revision that was given to a row."""
