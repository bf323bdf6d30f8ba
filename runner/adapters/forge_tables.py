"""The local forge's tables. Numbers of issues and pull requests come from one counter a repository."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

_NAME = String(256)
_SHA = String(64)
_OPEN = text("state = 'open'")


@dataclass(frozen=True, kw_only=True)
class ForgeTables:
    """Every table of the local forge."""

    repos: Table
    issues: Table
    pulls: Table
    checks: Table
    required: Table
    comments: Table


def define_forge_tables(metadata: MetaData) -> ForgeTables:
    """The tables in `metadata`; asked again, the same ones."""
    known = metadata.tables
    if "forge_repos" not in known:
        for define in (_repos, _issues, _pulls, _checks, _required, _comments):
            define(metadata)
    return ForgeTables(
        repos=known["forge_repos"],
        issues=known["forge_issues"],
        pulls=known["forge_pulls"],
        checks=known["forge_checks"],
        required=known["forge_required"],
        comments=known["forge_comments"],
    )


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
        Column("labels", JSON, nullable=False, server_default="[]"),
        Index("forge_pulls_open_once", "repo", "head_branch", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    )


def _checks(metadata: MetaData) -> Table:
    return Table(
        "forge_checks",
        metadata,
        Column("repo", _NAME, primary_key=True),
        Column("sha", _SHA, primary_key=True),
        Column("source", _NAME, primary_key=True),
        Column("name", _NAME, primary_key=True),
        Column("state", String(16), nullable=False),
        Column("summary", Text, nullable=False),
        Column("log", Text, nullable=False),
        ForeignKeyConstraint(["repo"], ["forge_repos.repo"]),
    )


def _required(metadata: MetaData) -> Table:
    return Table(
        "forge_required",
        metadata,
        Column("repo", _NAME, primary_key=True),
        Column("branch", _NAME, primary_key=True),
        Column("name", _NAME, primary_key=True),
        Column("source", _NAME, primary_key=True),
        ForeignKeyConstraint(["repo"], ["forge_repos.repo"]),
    )


def _comments(metadata: MetaData) -> Table:
    return Table(
        "forge_comments",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("repo", _NAME, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("kind", String(16), nullable=False),
        Column("author", _NAME, nullable=False),
        # Ours have a key, people's have none.
        Column("key", String(80)),
        Column("stance", String(32), nullable=False),
        Column("body", Text, nullable=False),
        Column("at", Float, nullable=False),
        Column("path", Text),
        Column("line", BigInteger),
        Column("sha", _SHA),
        Column("thread", BigInteger),
        ForeignKeyConstraint(["repo", "number"], ["forge_pulls.repo", "forge_pulls.number"]),
        UniqueConstraint("repo", "number", "key", name="forge_said_once"),
    )
