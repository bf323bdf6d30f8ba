"""The last events of a run, found without sorting all of them."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index of the events by their run."""
    op.create_index("events_by_run", "events", ["run_id", "id"])
