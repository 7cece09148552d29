"""The tables of bundles and their activations; their migration is in ``companyos.migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, String, Table, Text, UniqueConstraint

from companyos.core.database import Json, UtcDateTime, metadata

_ACTOR: Final = 200
_DIGEST: Final = 71

policy_bundles: Final = Table(
    "policy_bundles",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("bundle_id", String(127), nullable=False),
    Column("version", String(64), nullable=False),
    Column("digest", String(_DIGEST), nullable=False),
    Column("content_digest", String(_DIGEST), nullable=False),
    Column("entrypoint", String(200), nullable=False),
    Column("obligations", Json, nullable=False),
    Column("tests", Json),
    Column("attestation", String(_DIGEST)),
    Column("published_by", String(_ACTOR), nullable=False),
    Column("published_by_id", String(36)),
    Column("published_at", UtcDateTime, nullable=False),
    UniqueConstraint("bundle_id", "version"),
)
"""What was published, each version once. ``digest`` is what was sent, signed for dev; ``content_digest`` is the same in
every stage."""

policy_activations: Final = Table(
    "policy_activations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("bundle_id", String(127), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("published_id", String(36), ForeignKey("policy_bundles.id"), nullable=False),
    Column("version", String(64), nullable=False),
    Column("digest", String(_DIGEST), nullable=False),
    Column("content_digest", String(_DIGEST), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("previous", String(64)),
    Column("by", String(_ACTOR), nullable=False),
    Column("by_id", String(36)),
    Column("at", UtcDateTime, nullable=False),
    Column("approver", String(_ACTOR)),
    Column("approval_id", String(36)),
    Column("replay", Json),
    Column("acknowledged", Json, nullable=False),
    Column("without_replay", Boolean, nullable=False),
    Column("attestation", String(_DIGEST)),
    CheckConstraint("stage IN ('dev', 'staging', 'prod')", name="stage"),
    CheckConstraint("kind IN ('publish', 'promote', 'rollback', 'renew')", name="kind"),
    Index(None, "bundle_id", "stage", "id"),
    Index(None, "digest"),
)
"""What became active where, when, and why; rows are added and never changed."""

policy_stages: Final = Table(
    "policy_stages",
    metadata,
    Column("bundle_id", String(127), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("activation_id", String(36), ForeignKey("policy_activations.id")),
    Column("failed_at", UtcDateTime),
    Column("failed_version", String(64)),
    Column("failure", Text),
    CheckConstraint("stage IN ('dev', 'staging', 'prod')", name="stage"),
)
"""What is active now, and the newest failure to make something else active; a success takes the failure away."""
