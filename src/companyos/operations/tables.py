"""The tables of operations; their migration is in ``companyos.migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text

from companyos.core.database import Json, UtcDateTime, metadata

_SUBJECT: Final = 200
_ACTOR: Final = 200

holds: Final = Table(
    "holds",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("subject", String(_SUBJECT), nullable=False),
    Column("reason", Text, nullable=False),
    Column("source", String(_ACTOR), nullable=False),
    Column("evidence", Json, nullable=False),
    Column("placed_by", String(_ACTOR), nullable=False),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("lifted_at", UtcDateTime),
    Column("lifted_by", String(_ACTOR)),
    Column("lift_reason", Text),
    Index(None, "subject", "lifted_at"),
)

approvals: Final = Table(
    "approvals",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("subject", String(_SUBJECT), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", String(_ACTOR), nullable=False),
    Column("requested_by_id", String(36)),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("status", String(16), nullable=False),
    Column("decided_by", String(_ACTOR)),
    Column("decided_by_id", String(36)),
    Column("decided_at", UtcDateTime),
    Column("decision_reason", Text),
    CheckConstraint("status IN ('pending', 'approved', 'rejected')", name="status"),
    Index(None, "subject", "status"),
    Index(None, "status", "expires_at"),
)

incidents: Final = Table(
    "incidents",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("severity", String(8), nullable=False),
    Column("title", String(200), nullable=False),
    Column("subject", String(_SUBJECT), nullable=False),
    Column("status", String(16), nullable=False),
    Column("opened_by", String(_ACTOR), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("mitigated_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("links", Json, nullable=False),
    CheckConstraint("severity IN ('sev1', 'sev2', 'sev3', 'sev4')", name="severity"),
    CheckConstraint("status IN ('open', 'mitigated', 'closed')", name="status"),
    Index(None, "subject", "status"),
    Index(None, "status"),
)

incident_timeline: Final = Table(
    "incident_timeline",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("incident_id", String(36), ForeignKey("incidents.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(_ACTOR), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "incident_id", "id"),
)
"""Rows are added and never changed; the digest of each text is in the ledger."""

notifications: Final = Table(
    "notifications",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("key", String(200), nullable=False),
    Column("kind", String(100), nullable=False),
    Column("subject", String(_SUBJECT), nullable=False),
    Column("payload", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    Column("delivered_at", UtcDateTime),
    Column("gave_up_at", UtcDateTime),
    Column("last_error", Text),
    Index(None, "key", unique=True),
    Index(None, "next_at"),
)
"""The outbox. ``next_at`` is set while somebody still has to try; whoever tries first moves it, so nobody else does."""

alerts: Final = Table(
    "alerts",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("service", String(39), nullable=False),
    Column("name", String(200), nullable=False),
    Column("status", String(16), nullable=False),
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("generator_url", Text, nullable=False),
    CheckConstraint("status IN ('firing', 'resolved')", name="status"),
    Index(None, "service", "status"),
)
"""The newest that was heard of each alert."""
