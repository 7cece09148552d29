"""The tables of the first pillars: outbox and alerts, evidence, flags, and delivery."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create everything."""
    _operations()
    _evidence()
    _flags()
    _delivery()


def _moment() -> sa.types.TypeEngine[Any]:
    return sa.String(27).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _json() -> sa.types.TypeEngine[Any]:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _operations() -> None:
    op.create_table(
        "alerts",
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("labels", _json(), nullable=False),
        sa.Column("annotations", _json(), nullable=False),
        sa.Column("starts_at", _moment(), nullable=False),
        sa.Column("ends_at", _moment()),
        sa.Column("received_at", _moment(), nullable=False),
        sa.Column("generator_url", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('firing', 'resolved')", name="ck_alerts_status"),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_alerts"),
    )
    op.create_index("ix_alerts_service_status", "alerts", ["service", "status"])
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("payload", _json(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", _moment()),
        sa.Column("delivered_at", _moment()),
        sa.Column("gave_up_at", _moment()),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
    )
    op.create_index("ix_notifications_key", "notifications", ["key"], unique=True)
    op.create_index("ix_notifications_next_at", "notifications", ["next_at"])


def _evidence() -> None:
    op.create_table(
        "artifact_denials",
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("release", sa.String(168), nullable=False),
        sa.Column("release_id", sa.String(36), nullable=False),
        sa.Column("denied_by", sa.String(200), nullable=False),
        sa.Column("denied_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_artifact_denials"),
    )
    op.create_table(
        "artifacts",
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("commit", sa.String(64), nullable=False),
        sa.Column("committed_at", _moment(), nullable=False),
        sa.Column("dependencies_digest", sa.String(71), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("envelope_digest", sa.String(71)),
        sa.Column("commits", _json(), nullable=False),
        sa.Column("built_by", sa.String(200), nullable=False),
        sa.Column("built_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_artifacts"),
    )
    op.create_index("ix_artifacts_id", "artifacts", ["id"], unique=True)
    op.create_index("ix_artifacts_service_id", "artifacts", ["service", "id"])


def _flags() -> None:
    op.create_table(
        "flag_changes",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("key", sa.String(63), nullable=False),
        sa.Column("before", sa.Boolean()),
        sa.Column("after", sa.Boolean()),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("release_id", sa.String(36)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flag_changes"),
    )
    op.create_index("ix_flag_changes_release_id", "flag_changes", ["release_id"])
    op.create_index("ix_flag_changes_service_key_id", "flag_changes", ["service", "key", "id"])
    op.create_table(
        "flag_definitions",
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("key", sa.String(63), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(63), nullable=False),
        sa.Column("default", sa.Boolean(), nullable=False),
        sa.Column("expires", sa.String(10), nullable=False),
        sa.Column("cleanup", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("defined_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("service", "key", name="pk_flag_definitions"),
    )
    op.create_table(
        "flag_values",
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("key", sa.String(63), nullable=False),
        sa.Column("value", sa.Boolean(), nullable=False),
        sa.Column("changed_at", _moment(), nullable=False),
        sa.Column("changed_by", sa.String(200), nullable=False),
        sa.Column("release_id", sa.String(36)),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "key", name="pk_flag_values"),
    )
    op.create_index("ix_flag_values_release_id", "flag_values", ["release_id"])


def _delivery() -> None:
    op.create_table(
        "delivery_positions",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_delivery_positions"),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("body", _json(), nullable=False),
        sa.Column("plan", _json(), nullable=False),
        sa.Column("changelog", _json(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("in_flight", sa.Boolean(), nullable=False),
        sa.Column("stable", sa.Boolean(), nullable=False),
        sa.Column("state", _json(), nullable=False),
        sa.Column("snapshot", _json(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
    )
    op.create_index("ix_releases_digest", "releases", ["digest"])
    op.create_index(
        "uq_releases_stable",
        "releases",
        ["service", "environment"],
        unique=True,
        sqlite_where=sa.text("stable"),
        postgresql_where=sa.text("stable"),
    )
    op.create_index(
        "uq_releases_in_flight",
        "releases",
        ["service", "environment"],
        unique=True,
        sqlite_where=sa.text("in_flight"),
        postgresql_where=sa.text("in_flight"),
    )
    op.create_index("ix_releases_service_id", "releases", ["service", "id"])
    op.create_table(
        "release_actions",
        sa.Column("release_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("action", _json(), nullable=False),
        sa.Column("decided_at", _moment(), nullable=False),
        sa.Column("done_at", _moment()),
        sa.Column("result", _json(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name="fk_release_actions_release_id"),
        sa.PrimaryKeyConstraint("release_id", "number", name="pk_release_actions"),
    )
    op.create_index("ix_release_actions_done_at", "release_actions", ["done_at"])
    op.create_table(
        "release_commands",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("release_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("metrics_snapshot", _json(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("handled_at", _moment()),
        sa.Column("answer", sa.Text()),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name="fk_release_commands_release_id"),
        sa.PrimaryKeyConstraint("id", name="pk_release_commands"),
    )
    op.create_index("ix_release_commands_handled_at", "release_commands", ["handled_at"])
    op.create_table(
        "release_ticks",
        sa.Column("release_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("observation", _json(), nullable=False),
        sa.Column("evidence", _json(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name="fk_release_ticks_release_id"),
        sa.PrimaryKeyConstraint("release_id", "number", name="pk_release_ticks"),
    )
    op.create_table(
        "release_transitions",
        sa.Column("release_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("verb", sa.String(40), nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("percent", sa.String(8), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.String(36), nullable=False),
        sa.Column("indicators", _json(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name="fk_release_transitions_release_id"),
        sa.PrimaryKeyConstraint("release_id", "number", name="pk_release_transitions"),
    )
