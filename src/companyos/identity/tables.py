"""The tables of identity; their migration is in ``companyos.migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, String, Table, UniqueConstraint

from companyos.core.database import UtcDateTime, metadata

EVERYWHERE: Final = ""
"""The ``workspace_id`` of a binding that counts everywhere; a primary key holds no NULL."""

subjects: Final = Table(
    "subjects",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("type", String(16), nullable=False),
    Column("name", String(63), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("display_name", String(200)),
    Column("email", String(254)),
    Column("org_id", String(36)),
    Column("workspace_id", String(36)),
    UniqueConstraint("type", "name"),
    CheckConstraint("type IN ('user', 'service')", name="type"),
    CheckConstraint("status IN ('active', 'suspended')", name="status"),
)

role_bindings: Final = Table(
    "role_bindings",
    metadata,
    Column("subject_id", String(36), ForeignKey("subjects.id"), primary_key=True),
    Column("role", String(32), primary_key=True),
    Column("workspace_id", String(36), primary_key=True),
    Column("expires_at", UtcDateTime),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("subject_id", String(36), ForeignKey("subjects.id"), nullable=False),
    Column("label", String(200), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Index(None, "subject_id"),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("secret_hash", String(64), primary_key=True),
    Column("subject_id", String(36), ForeignKey("subjects.id"), nullable=False),
    Column("token_id", String(36), ForeignKey("tokens.id")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "subject_id"),
    Index(None, "expires_at"),
)
"""``token_id`` is the token that opened the session, which ends with it; NULL for one that a login code opened."""

login_codes: Final = Table(
    "login_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("subject_id", String(36), ForeignKey("subjects.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "subject_id"),
    Index(None, "expires_at"),
)
