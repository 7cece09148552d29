"""The tables of the ground floor: leases, ledger, identity, catalog, operations and the Tower's projection."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

INDEXED = ("id", "service")
"""The fields of a ledger record that have an index over the body itself; see `ledger.tables`."""

BODY_FIELD = {
    "sqlite": "CASE WHEN json_valid(body) THEN json_extract(body, '$.{name}') END",
    "postgresql": "body::json ->> '{name}'",
}


def upgrade() -> None:
    """Create everything."""
    _core()
    _ledger()
    _identity()
    _catalog()
    _operations()
    _tower()


def _moment() -> sa.types.TypeEngine[Any]:
    return sa.String(27).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _json() -> sa.types.TypeEngine[Any]:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _position() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _core() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("holder", sa.String(100), nullable=False),
        sa.Column("expires_at", _moment(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _ledger() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("idx", _position(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name="pk_ledger_entries"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", _position(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_head"),
    )
    op.create_table(
        "ledger_tiles",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", _position(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "idx", name="pk_ledger_tiles"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_personal",
        sa.Column("idx", _position(), autoincrement=False, nullable=False),
        sa.Column("field", sa.String(63), nullable=False),
        sa.Column("salt", sa.LargeBinary()),
        sa.Column("value", sa.Text()),
        sa.Column("erased_by", _position()),
        sa.PrimaryKeyConstraint("idx", "field", name="pk_ledger_personal"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_reads",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("count", _position(), nullable=False),
        sa.PrimaryKeyConstraint("day", "actor", "action", name="pk_ledger_reads"),
        sqlite_with_rowid=False,
    )
    expression = BODY_FIELD[op.get_context().dialect.name]
    for name in INDEXED:
        op.create_index(
            f"ix_ledger_entries_{name}", "ledger_entries", [sa.text(f"({expression.format(name=name)})"), "idx"]
        )


def _identity() -> None:
    op.create_table(
        "subjects",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("display_name", sa.String(200)),
        sa.Column("email", sa.String(254)),
        sa.Column("org_id", sa.String(36)),
        sa.Column("workspace_id", sa.String(36)),
        sa.CheckConstraint("status IN ('active', 'suspended')", name="ck_subjects_status"),
        sa.CheckConstraint("type IN ('user', 'service')", name="ck_subjects_type"),
        sa.PrimaryKeyConstraint("id", name="pk_subjects"),
        sa.UniqueConstraint("type", "name", name="uq_subjects_type_name"),
    )
    op.create_table(
        "role_bindings",
        sa.Column("subject_id", sa.String(36), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("workspace_id", sa.String(36), nullable=False),
        sa.Column("expires_at", _moment()),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_role_bindings_subject_id"),
        sa.PrimaryKeyConstraint("subject_id", "role", "workspace_id", name="pk_role_bindings"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("subject_id", sa.String(36), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment()),
        sa.Column("revoked_at", _moment()),
        sa.Column("last_used_at", _moment()),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_tokens_subject_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
    )
    op.create_index("ix_tokens_subject_id", "tokens", ["subject_id"])
    op.create_table(
        "login_codes",
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(36), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_login_codes_subject_id"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_login_codes"),
    )
    op.create_index("ix_login_codes_expires_at", "login_codes", ["expires_at"])
    op.create_index("ix_login_codes_subject_id", "login_codes", ["subject_id"])
    op.create_table(
        "sessions",
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.String(36), nullable=False),
        sa.Column("token_id", sa.String(36)),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_sessions_subject_id"),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name="fk_sessions_token_id"),
        sa.PrimaryKeyConstraint("secret_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_subject_id", "sessions", ["subject_id"])


def _catalog() -> None:
    op.create_table(
        "services",
        sa.Column("name", sa.String(39), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("owner", sa.String(63)),
        sa.Column("domain", sa.String(63)),
        sa.Column("tier", sa.String(63)),
        sa.Column("lifecycle", sa.String(63)),
        sa.Column("regions", _json(), nullable=False),
        sa.Column("environments", _json(), nullable=False),
        sa.Column("depends_on", _json(), nullable=False),
        sa.Column("labels", _json(), nullable=False),
        sa.Column("annotations", _json(), nullable=False),
        sa.Column("links", _json(), nullable=False),
        sa.Column("sections", _json(), nullable=False),
        sa.Column("provenance", _json(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_services"),
    )
    op.create_index("ix_services_domain", "services", ["domain"])
    op.create_index("ix_services_owner", "services", ["owner"])
    op.create_index("ix_services_tier", "services", ["tier"])
    op.create_table(
        "service_regions",
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("region", sa.String(63), nullable=False),
        sa.ForeignKeyConstraint(["service"], ["services.name"], name="fk_service_regions_service", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("service", "region", name="pk_service_regions"),
    )
    op.create_index("ix_service_regions_region", "service_regions", ["region"])
    op.create_table(
        "service_dependencies",
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("depends_on", sa.String(39), nullable=False),
        sa.ForeignKeyConstraint(
            ["service"], ["services.name"], name="fk_service_dependencies_service", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("service", "depends_on", name="pk_service_dependencies"),
    )
    op.create_index("ix_service_dependencies_depends_on", "service_dependencies", ["depends_on"])
    op.create_table(
        "teams",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("title", sa.String(200)),
        sa.Column("oncall", sa.String(200)),
        sa.Column("members", _json(), nullable=False),
        sa.Column("provenance", _json(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_teams"),
    )
    op.create_table(
        "domains",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("title", sa.String(200)),
        sa.Column("description", sa.Text()),
        sa.Column("owner", sa.String(63)),
        sa.Column("provenance", _json(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_domains"),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(39), nullable=False),
        sa.Column("environment", sa.String(63), nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("release", sa.String(168), nullable=False),
        sa.Column("weight_ratio", sa.Float()),
        sa.Column("since", _moment(), nullable=False),
        sa.Column("until", _moment()),
        sa.Column("source", sa.String(600), nullable=False),
        sa.Column("observed_at", _moment(), nullable=False),
        sa.CheckConstraint("arm IN ('stable', 'canary')", name="ck_deployments_arm"),
        sa.ForeignKeyConstraint(["service"], ["services.name"], name="fk_deployments_service", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
    )
    op.create_index("ix_deployments_digest", "deployments", ["digest"])
    op.create_index("ix_deployments_service_id", "deployments", ["service", "id"])


def _operations() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("evidence", _json(), nullable=False),
        sa.Column("placed_by", sa.String(200), nullable=False),
        sa.Column("placed_at", _moment(), nullable=False),
        sa.Column("until", _moment()),
        sa.Column("lifted_at", _moment()),
        sa.Column("lifted_by", sa.String(200)),
        sa.Column("lift_reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
    )
    op.create_index("ix_holds_subject_lifted_at", "holds", ["subject", "lifted_at"])
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("requested_by_id", sa.String(36)),
        sa.Column("requested_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("decided_by_id", sa.String(36)),
        sa.Column("decided_at", _moment()),
        sa.Column("decision_reason", sa.Text()),
        sa.CheckConstraint("status IN ('pending', 'approved', 'rejected')", name="ck_approvals_status"),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
    )
    op.create_index("ix_approvals_status_expires_at", "approvals", ["status", "expires_at"])
    op.create_index("ix_approvals_subject_status", "approvals", ["subject", "status"])
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("opened_by", sa.String(200), nullable=False),
        sa.Column("opened_at", _moment(), nullable=False),
        sa.Column("mitigated_at", _moment()),
        sa.Column("closed_at", _moment()),
        sa.Column("links", _json(), nullable=False),
        sa.CheckConstraint("severity IN ('sev1', 'sev2', 'sev3', 'sev4')", name="ck_incidents_severity"),
        sa.CheckConstraint("status IN ('open', 'mitigated', 'closed')", name="ck_incidents_status"),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    op.create_index("ix_incidents_status", "incidents", ["status"])
    op.create_index("ix_incidents_subject_status", "incidents", ["subject", "status"])
    op.create_table(
        "incident_timeline",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_incident_timeline_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident_timeline"),
    )
    op.create_index("ix_incident_timeline_incident_id_id", "incident_timeline", ["incident_id", "id"])


def _tower() -> None:
    op.create_table(
        "tower_services",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("domain", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("oncall", sa.Text()),
        sa.Column("tier", sa.Text()),
        sa.Column("regions", _json(), nullable=False),
        sa.Column("depends_on", _json(), nullable=False),
        sa.Column("environment", sa.Text()),
        sa.Column("arms", _json(), nullable=False),
        sa.Column("holds", _json(), nullable=False),
        sa.Column("incidents", _json(), nullable=False),
        sa.Column("deployed_at", _moment()),
        sa.Column("observed_at", _moment()),
        sa.Column("recorded_at", _moment()),
        sa.Column("sources", _json(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_tower_services"),
    )
    op.create_index("ix_tower_services_revision", "tower_services", ["revision"])
    op.create_table(
        "tower_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tower_cursor"),
    )
