"""Moments on every clock of the host, from which durations are counted that outlive the daemon."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of the moments."""
    op.create_table(
        "moments",
        sa.Column("host", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("utc", sa.Float(), nullable=False),
        sa.Column("boot", sa.String(length=64), nullable=False),
        sa.Column("awake", sa.Float(), nullable=False),
        sa.Column("up", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("host", "name"),
    )
