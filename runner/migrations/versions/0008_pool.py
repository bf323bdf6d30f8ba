"""The pool: how urgent a run is, since when it waits for a slot, which slots are held and for how long they were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the runs, add the slots and the turns."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("priority", sa.String(length=8), nullable=False, server_default="normal"))
        runs.add_column(sa.Column("queued_at", sa.Float(), nullable=True))
    op.create_index("runs_by_owner", "runs", ["owner", "phase"], unique=False)
    op.create_table(
        "slots",
        sa.Column("host", sa.String(length=256), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
        sa.PrimaryKeyConstraint("host", "slot"),
        sa.UniqueConstraint("run_id"),
    )
    op.create_table(
        "turns",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("repo", sa.String(length=256), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number"),
    )
    op.create_index("turns_by_repo", "turns", ["repo", "since"], unique=False)
    op.create_index("turns_by_time", "turns", ["since"], unique=False)
