"""The local forge's tables. Numbers of issues and pull requests come from one counter a repository."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Table,
    Text,
    text,
)

_NAME = String(256)
_SHA = String(64)
_OPEN = text("state = 'open'")


def define_forge_tables(metadata: MetaData) -> tuple[Table, Table, Table, Table]:
    """`forge_repos`, `forge_issues`, `forge_pulls` and `forge_checks` in `metadata`; asked again, the same ones."""
    repos = metadata.tables.get("forge_repos")
    if repos is not None:
        return (
            repos,
            metadata.tables["forge_issues"],
            metadata.tables["forge_pulls"],
            metadata.tables["forge_checks"],
        )
    return _repos(metadata), _issues(metadata), _pulls(metadata), _checks(metadata)


def _repos(metadata: MetaData) -> Table:
    return Table(
        "forge_repos",
        metadata,
        Column("repo", _NAME, primary_key=True),
        Column("source", Text, nullable=False),
        Column("default_branch", _NAME, nullable=False),
        Column("next_number", BigInteger, nullable=False),
    )


def _issues(metadata: MetaData) -> Table:
    return Table(
        "forge_issues",
        metadata,
        Column("repo", _NAME, ForeignKey("forge_repos.repo"), primary_key=True),
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("title", Text, nullable=False),
        Column("body", Text, nullable=False),
    )


def _pulls(metadata: MetaData) -> Table:
    return Table(
        "forge_pulls",
        metadata,
        Column("repo", _NAME, ForeignKey("forge_repos.repo"), primary_key=True),
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("title", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("draft", Boolean, nullable=False),
        Column("state", String(16), nullable=False),
        Column("head_branch", _NAME, nullable=False),
        Column("base_branch", _NAME, nullable=False),
        Column("head_sha", _SHA, nullable=False),
        Column("base_sha", _SHA, nullable=False),
        Column("merging_sha", _SHA),
        Column("merged_sha", _SHA),
        Index("forge_pulls_open_once", "repo", "head_branch", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    )


def _checks(metadata: MetaData) -> Table:
    return Table(
        "forge_checks",
        metadata,
        Column("repo", _NAME, primary_key=True),
        Column("sha", _SHA, primary_key=True),
        Column("name", _NAME, primary_key=True),
        Column("state", String(16), nullable=False),
        Column("summary", Text, nullable=False),
        ForeignKeyConstraint(["repo"], ["forge_repos.repo"]),
    )
