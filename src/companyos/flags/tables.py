"""The tables of flags; their migration is in ``companyos.migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from companyos.core.database import UtcDateTime, metadata

flag_definitions: Final = Table(
    "flag_definitions",
    metadata,
    Column("service", String(39), primary_key=True),
    Column("key", String(63), primary_key=True),
    Column("description", Text, nullable=False),
    Column("owner", String(63), nullable=False),
    Column("default", Boolean, nullable=False),
    Column("expires", String(10), nullable=False),
    Column("cleanup", Text, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("defined_at", UtcDateTime, nullable=False),
)
"""What the newest artifact that was read says about each flag; ``digest`` names that artifact, ``expires`` is a day."""

flag_values: Final = Table(
    "flag_values",
    metadata,
    Column("service", String(39), primary_key=True),
    Column("environment", String(63), primary_key=True),
    Column("key", String(63), primary_key=True),
    Column("value", Boolean, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(200), nullable=False),
    Column("release_id", String(36)),
    Column("revision", Integer, nullable=False),
    Index(None, "release_id"),
)
"""Flags that are not left at their default; ``release_id`` is the release whose change the value is."""

flag_changes: Final = Table(
    "flag_changes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("service", String(39), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("key", String(63), nullable=False),
    Column("before", Boolean),
    Column("after", Boolean),
    Column("at", UtcDateTime, nullable=False),
    Column("by", String(200), nullable=False),
    Column("release_id", String(36)),
    Column("reason", Text, nullable=False),
    Index(None, "service", "key", "id"),
    Index(None, "release_id"),
)
"""Rows are added and never changed. None stands for "left at the default"."""
