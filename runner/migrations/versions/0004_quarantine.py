"""A run that leaked a secret is marked, so that nothing of it ever goes on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Which secret, and in what form; null for all other runs."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("quarantined", sa.Text(), nullable=True))
