"""The tables of evidence; their migration is in ``companyos.migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, String, Table, Text

from companyos.core.database import Json, UtcDateTime, metadata

artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("id", String(36), nullable=False),
    Column("service", String(39), nullable=False),
    Column("version", String(128), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("committed_at", UtcDateTime, nullable=False),
    Column("dependencies_digest", String(71), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("files", Integer, nullable=False),
    Column("envelope_digest", String(71)),
    Column("commits", Json, nullable=False),
    Column("built_by", String(200), nullable=False),
    Column("built_at", UtcDateTime, nullable=False),
    Index(None, "id", unique=True),
    Index(None, "service", "id"),
)
"""What is known of stored artifacts; their bytes, and the envelope of their provenance, are in the artifact store."""

artifact_denials: Final = Table(
    "artifact_denials",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("release", String(168), nullable=False),
    Column("release_id", String(36), nullable=False),
    Column("denied_by", String(200), nullable=False),
    Column("denied_at", UtcDateTime, nullable=False),
)
"""Digests that must not be deployed again; a lifted denial is deleted, and the ledger keeps both."""
