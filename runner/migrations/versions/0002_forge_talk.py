"""The local forge's half of the conversation: labels, checks by source with a log, what a branch requires, comments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen pull requests and checks (every check so far was the daemon's own), add what is required and said."""
    with op.batch_alter_table("forge_pulls") as pulls:
        pulls.add_column(sa.Column("labels", sa.JSON(), nullable=False, server_default="[]"))
    op.create_table(
        "forge_checks_by_source",
        sa.Column("repo", sa.String(length=256), nullable=False),
        sa.Column("sha", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["repo"], ["forge_repos.repo"]),
        sa.PrimaryKeyConstraint("repo", "sha", "source", "name"),
    )
    op.execute(
        "INSERT INTO forge_checks_by_source (repo, sha, source, name, state, summary, log) "
        "SELECT repo, sha, 'ashigaru', name, state, summary, '' FROM forge_checks"
    )
    op.drop_table("forge_checks")
    op.rename_table("forge_checks_by_source", "forge_checks")
    op.create_table(
        "forge_required",
        sa.Column("repo", sa.String(length=256), nullable=False),
        sa.Column("branch", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(["repo"], ["forge_repos.repo"]),
        sa.PrimaryKeyConstraint("repo", "branch", "name", "source"),
    )
    op.create_table(
        "forge_comments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("repo", sa.String(length=256), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=256), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=True),
        sa.Column("stance", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("line", sa.BigInteger(), nullable=True),
        sa.Column("sha", sa.String(length=64), nullable=True),
        sa.Column("thread", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["repo", "number"], ["forge_pulls.repo", "forge_pulls.number"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("repo", "number", "key", name="forge_said_once"),
    )
