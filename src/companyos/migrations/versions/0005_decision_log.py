"""The tables of the decision log: the keys that seal, and the closed segments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.String(27).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        "decision_keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("subject", sa.String(64)),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("erased_at", moment),
        sa.CheckConstraint(
            "(erased_at IS NULL) = (key IS NOT NULL AND subject IS NOT NULL)", name="ck_decision_keys_erased"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_decision_keys"),
        sa.UniqueConstraint("subject", name="uq_decision_keys_subject"),
    )
    op.create_table(
        "decision_segments",
        sa.Column("stream", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_id", sa.String(36)),
        sa.Column("last_id", sa.String(36)),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("closed_at", moment, nullable=False),
        sa.Column("ledger_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("stream", "number", name="pk_decision_segments"),
    )
