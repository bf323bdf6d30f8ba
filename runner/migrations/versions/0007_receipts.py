"""Every deed done with a credential and every verdict, chained by hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of the chains, one a host, and to each judgement the image that it was made in."""
    op.create_table(
        "receipts",
        sa.Column("host", sa.String(length=256), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("settles", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("host", "number"),
    )
    op.create_index("receipts_by_key", "receipts", ["host", "key"], unique=False)
    op.create_index("receipts_by_run", "receipts", ["run_id"], unique=False)
    with op.batch_alter_table("judgements") as judgements:
        judgements.add_column(sa.Column("image", sa.String(length=128), nullable=True))
