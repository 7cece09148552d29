"""Attributes, roles of a company's own, subjects of other issuers, and the revisions that a directory follows.

Bindings keep what they hold: the id of a built-in role is its name, so ``role`` becomes ``role_id`` as it stands. The
table is made anew because SQLite widens no column.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the new tables, extend ``subjects`` and carry the bindings over."""
    op.add_column("subjects", sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_subjects_revision", "subjects", ["revision"])
    _bindings()
    _roles()
    _attributes()
    _issuers()


def _moment() -> sa.types.TypeEngine[Any]:
    return sa.String(27).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _bindings() -> None:
    op.execute(
        "CREATE TABLE role_bindings_0002 AS SELECT subject_id, role, workspace_id, expires_at FROM role_bindings"
    )
    op.drop_table("role_bindings")
    op.create_table(
        "role_bindings",
        sa.Column("subject_id", sa.String(36), nullable=False),
        sa.Column("role_id", sa.String(36), nullable=False),
        sa.Column("workspace_id", sa.String(36), nullable=False),
        sa.Column("expires_at", _moment()),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_role_bindings_subject_id"),
        sa.PrimaryKeyConstraint("subject_id", "role_id", "workspace_id", name="pk_role_bindings"),
    )
    op.execute(
        "INSERT INTO role_bindings (subject_id, role_id, workspace_id, expires_at) "
        "SELECT subject_id, role, workspace_id, expires_at FROM role_bindings_0002"
    )
    op.drop_table("role_bindings_0002")
    op.create_index("ix_role_bindings_role_id", "role_bindings", ["role_id"])


def _roles() -> None:
    op.create_table(
        "roles",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("org_id", sa.String(36)),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
        sa.UniqueConstraint("name", name="uq_roles_name"),
    )


def _attributes() -> None:
    op.create_table(
        "attributes",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.String(36)),
        sa.Column("org_id", sa.String(36)),
        sa.Column("workspace_id", sa.String(36)),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("ttl", sa.Integer()),
        sa.Column("set_at", _moment(), nullable=False),
        sa.CheckConstraint(
            "(scope = 'subject' AND subject_id IS NOT NULL AND org_id IS NULL AND workspace_id IS NULL) OR "
            "(scope = 'org' AND subject_id IS NULL AND org_id IS NOT NULL AND workspace_id IS NULL) OR "
            "(scope = 'workspace' AND subject_id IS NULL AND org_id IS NULL AND workspace_id IS NOT NULL)",
            name="ck_attributes_scope",
        ),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_attributes_subject_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attributes"),
        sa.UniqueConstraint("subject_id", "name", name="uq_attributes_subject_id_name"),
        sa.UniqueConstraint("org_id", "name", name="uq_attributes_org_id_name"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_attributes_workspace_id_name"),
    )
    op.create_table(
        "identity_revisions",
        sa.Column("part", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("part", name="pk_identity_revisions"),
    )


def _issuers() -> None:
    op.create_table(
        "issuer_subjects",
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("sub", sa.String(255), nullable=False),
        sa.Column("subject_id", sa.String(36), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("said_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subjects.id"], name="fk_issuer_subjects_subject_id"),
        sa.PrimaryKeyConstraint("issuer", "sub", name="pk_issuer_subjects"),
    )
    op.create_index("ix_issuer_subjects_subject_id", "issuer_subjects", ["subject_id"])
