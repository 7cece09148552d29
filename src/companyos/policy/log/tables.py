"""The tables of the decision log; their migration is in ``companyos.migrations``.

The decisions themselves are in files. Here is what files cannot do: the keys that must be deletable, and which segment
is closed under which ledger row.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Table, UniqueConstraint

from companyos.core.database import UtcDateTime, metadata

decision_keys: Final = Table(
    "decision_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("subject", String(64)),
    Column("key", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
    UniqueConstraint("subject"),
    CheckConstraint("(erased_at IS NULL) = (key IS NOT NULL AND subject IS NOT NULL)", name="erased"),
)
"""One key for each subject. An erasure takes the key and the digest of whose it was, and leaves the id, which the
records go on naming."""

decision_segments: Final = Table(
    "decision_segments",
    metadata,
    Column("stream", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("records", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("first_id", String(36)),
    Column("last_id", String(36)),
    Column("head", String(64), nullable=False),
    Column("closed_at", UtcDateTime, nullable=False),
    Column("ledger_id", String(36), nullable=False),
)
"""The closed segments: how many records, the lowest and the highest audit id, the head of the chain, and the id of the
ledger row that says so. The ids are NULL in a segment without records."""
