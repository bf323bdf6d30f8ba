"""What is followed after a pull request opened: its CI, the remarks of reviewers, the pipeline after the merge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the runs, make the checks anew (they are a copy of what the forge says), add notices and remarks."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("published_at", sa.Float(), nullable=True))
        runs.add_column(sa.Column("ci", sa.String(length=16), nullable=True))
        runs.add_column(sa.Column("ci_rounds", sa.Integer(), nullable=False, server_default="0"))
        runs.add_column(sa.Column("ci_repaired", sa.String(length=64), nullable=True))
        runs.add_column(sa.Column("review_rounds", sa.Integer(), nullable=False, server_default="0"))
        runs.add_column(sa.Column("fruitless", sa.Integer(), nullable=False, server_default="0"))
        runs.add_column(sa.Column("pipeline", sa.String(length=16), nullable=True))
        runs.add_column(sa.Column("merged_at", sa.Float(), nullable=True))
    op.create_index("runs_by_phase", "runs", ["phase", "updated_at"], unique=False)
    op.drop_table("checks")
    op.create_table(
        "checks",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("ref", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "source", "name", "workflow"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "key", name="notices_once"),
    )
    op.create_table(
        "remarks",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("remark", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("answered_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
        sa.PrimaryKeyConstraint("run_id", "remark"),
    )
