"""The tables of policy bundles: what was published, what became active, and what is active now."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create everything."""
    _bundles()
    _activations()
    _stages()


def _moment() -> sa.types.TypeEngine[Any]:
    return sa.String(27).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _json() -> sa.types.TypeEngine[Any]:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _bundles() -> None:
    op.create_table(
        "policy_bundles",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("bundle_id", sa.String(127), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("content_digest", sa.String(71), nullable=False),
        sa.Column("entrypoint", sa.String(200), nullable=False),
        sa.Column("obligations", _json(), nullable=False),
        sa.Column("tests", _json()),
        sa.Column("attestation", sa.String(71)),
        sa.Column("published_by", sa.String(200), nullable=False),
        sa.Column("published_by_id", sa.String(36)),
        sa.Column("published_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policy_bundles"),
        sa.UniqueConstraint("bundle_id", "version", name="uq_policy_bundles_bundle_id_version"),
    )


def _activations() -> None:
    op.create_table(
        "policy_activations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("bundle_id", sa.String(127), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("published_id", sa.String(36), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("content_digest", sa.String(71), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(64)),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("by_id", sa.String(36)),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("approver", sa.String(200)),
        sa.Column("approval_id", sa.String(36)),
        sa.Column("replay", _json()),
        sa.Column("acknowledged", _json(), nullable=False),
        sa.Column("without_replay", sa.Boolean(), nullable=False),
        sa.Column("attestation", sa.String(71)),
        sa.CheckConstraint("stage IN ('dev', 'staging', 'prod')", name="ck_policy_activations_stage"),
        sa.CheckConstraint("kind IN ('publish', 'promote', 'rollback', 'renew')", name="ck_policy_activations_kind"),
        sa.ForeignKeyConstraint(["published_id"], ["policy_bundles.id"], name="fk_policy_activations_published_id"),
        sa.PrimaryKeyConstraint("id", name="pk_policy_activations"),
    )
    op.create_index("ix_policy_activations_bundle_id_stage_id", "policy_activations", ["bundle_id", "stage", "id"])
    op.create_index("ix_policy_activations_digest", "policy_activations", ["digest"])


def _stages() -> None:
    op.create_table(
        "policy_stages",
        sa.Column("bundle_id", sa.String(127), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("activation_id", sa.String(36)),
        sa.Column("failed_at", _moment()),
        sa.Column("failed_version", sa.String(64)),
        sa.Column("failure", sa.Text()),
        sa.CheckConstraint("stage IN ('dev', 'staging', 'prod')", name="ck_policy_stages_stage"),
        sa.ForeignKeyConstraint(["activation_id"], ["policy_activations.id"], name="fk_policy_stages_activation_id"),
        sa.PrimaryKeyConstraint("bundle_id", "stage", name="pk_policy_stages"),
    )
