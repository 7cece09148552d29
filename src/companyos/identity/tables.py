"""The tables of identity; their migration is in ``companyos.migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

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
    Column("revision", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("type", "name"),
    CheckConstraint("type IN ('user', 'service')", name="type"),
    CheckConstraint("status IN ('active', 'suspended')", name="status"),
    Index(None, "revision"),
)
"""``revision`` is that of the part ``subjects`` when this subject, its bindings or its attributes changed last."""

role_bindings: Final = Table(
    "role_bindings",
    metadata,
    Column("subject_id", String(36), ForeignKey("subjects.id"), primary_key=True),
    Column("role_id", String(36), primary_key=True),
    Column("workspace_id", String(36), primary_key=True),
    Column("expires_at", UtcDateTime),
    Index(None, "role_id"),
)
"""``role_id`` is the id of a row in ``roles``, or the name of a built-in role, which has no row."""

roles: Final = Table(
    "roles",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("org_id", String(36)),
    Column("description", String(500), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("name"),
)

attributes: Final = Table(
    "attributes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("value", Text, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("subject_id", String(36), ForeignKey("subjects.id")),
    Column("org_id", String(36)),
    Column("workspace_id", String(36)),
    Column("source", String(200), nullable=False),
    Column("ttl", Integer),
    Column("set_at", UtcDateTime, nullable=False),
    UniqueConstraint("subject_id", "name"),
    UniqueConstraint("org_id", "name"),
    UniqueConstraint("workspace_id", "name"),
    CheckConstraint(
        "(scope = 'subject' AND subject_id IS NOT NULL AND org_id IS NULL AND workspace_id IS NULL) OR "
        "(scope = 'org' AND subject_id IS NULL AND org_id IS NOT NULL AND workspace_id IS NULL) OR "
        "(scope = 'workspace' AND subject_id IS NULL AND org_id IS NULL AND workspace_id IS NOT NULL)",
        name="scope",
    ),
)
"""``value`` is canonical JSON (RFC 8785): PostgreSQL's own JSON type would turn 1e300 into an integer."""

identity_revisions: Final = Table(
    "identity_revisions",
    metadata,
    Column("part", String(16), primary_key=True),
    Column("revision", Integer, nullable=False),
)
"""How often each part has changed: ``subjects``, ``places`` (attributes of orgs and workspaces), ``roles``."""

issuer_subjects: Final = Table(
    "issuer_subjects",
    metadata,
    Column("issuer", String(500), primary_key=True),
    Column("sub", String(255), primary_key=True),
    Column("subject_id", String(36), ForeignKey("subjects.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("said_at", UtcDateTime, nullable=False),
    Index(None, "subject_id"),
)
"""Which subject another issuer's ``sub`` is; ``said_at`` is the newest ``iat`` whose claims were taken over."""

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
