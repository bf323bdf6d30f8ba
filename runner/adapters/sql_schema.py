"""The records' tables. `runner/migrations` creates them; a test keeps the two equal."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from runner.adapters.forge_tables import define_forge_tables

metadata = MetaData()
define_forge_tables(metadata)

_ID = String(64)
_NAME = String(256)
_SHA = String(64)
# SQLite counts rowids only for INTEGER PRIMARY KEY; PostgreSQL deserves 64 bits.
_COUNTER = BigInteger().with_variant(Integer, "sqlite")

runs = Table(
    "runs",
    metadata,
    Column("run_id", _ID, primary_key=True),
    Column("repo", _NAME, nullable=False),
    Column("issue", BigInteger, nullable=False),
    Column("brief", Text, nullable=False),
    Column("model", _NAME),
    Column("phase", String(32), nullable=False),
    Column("base_branch", _NAME, nullable=False),
    Column("branch", _NAME, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("start_tier", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("tier", _NAME),
    Column("attempt", Integer, nullable=False),
    Column("reason", Text),
    Column("base_sha", _SHA),
    Column("head_sha", _SHA),
    Column("head_tree", _SHA),
    Column("pull", BigInteger),
    Column("pull_url", Text),
    Column("merged_sha", _SHA),
    Column("cancel_requested", Boolean, nullable=False),
    Column("waits", Integer, nullable=False),
    Column("retry_at", Float),
    Column("agent_at", Float),
    Column("harness_at", Float),
    Column("checks_as_of", Float),
    Column("published_at", Float),
    Column("ci", String(16)),
    Column("ci_rounds", Integer, nullable=False, server_default="0"),
    Column("ci_repaired", _SHA),
    Column("review_rounds", Integer, nullable=False, server_default="0"),
    Column("fruitless", Integer, nullable=False, server_default="0"),
    Column("pipeline", String(16)),
    Column("merged_at", Float),
    Column("quarantined", Text),
    Column("owner", String(64), nullable=False, server_default="operator"),
    Column("priority", String(8), nullable=False, server_default="normal"),
    Column("queued_at", Float),
    Column("cursor", BigInteger, nullable=False),
    Index("runs_by_phase", "phase", "updated_at"),
    Index("runs_by_repo", "repo", "created_at"),
    Index("runs_by_pull", "repo", "pull"),
    Index("runs_by_owner", "owner", "phase"),
)

slots = Table(
    "slots",
    metadata,
    Column("host", _NAME, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("run_id", _ID, ForeignKey("runs.run_id"), nullable=False, unique=True),
    Column("number", Integer, nullable=False),
    Column("since", Float, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("run_id", _ID, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("repo", _NAME, nullable=False),
    Column("since", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Index("turns_by_repo", "repo", "since"),
    Index("turns_by_time", "since"),
)

claims = Table(
    "claims",
    metadata,
    Column("repo", _NAME, primary_key=True),
    Column("issue", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", _ID, ForeignKey("runs.run_id"), nullable=False, unique=True),
)

rounds = Table(
    "rounds",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.run_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("input", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.run_id"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, nullable=False),
    Column("tier", _NAME, nullable=False),
    Column("model", _NAME, nullable=False),
    Column("effort", String(16), nullable=False),
    Column("from_commit", _SHA, nullable=False),
    Column("placeholder", String(128), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("transcript", JSON),
    Column("ended_at", Float),
    Column("ending", String(32)),
    Column("detail", Text),
    Column("retry_at", Float),
    Column("micro_usd", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("run_id", _ID, ForeignKey("runs.run_id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("index", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("summary", Text, nullable=False),
    Column("tool", _NAME),
    Column("at", Float, nullable=False),
    UniqueConstraint("run_id", "attempt", "offset", "index", name="events_once"),
    # The last of a run's thousands are asked for all the time.
    Index("events_by_run", "run_id", "id"),
)

judgements = Table(
    "judgements",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.run_id"), primary_key=True),
    Column("what", String(16), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("take", Integer, primary_key=True, autoincrement=False),
    Column("base_sha", _SHA, primary_key=True),
    Column("commit", _SHA, nullable=False),
    Column("tree", _SHA, nullable=False),
    Column("head", _SHA, nullable=False),
    Column("key", _SHA, nullable=False),
    Column("image", String(128)),
    Column("verdict", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("at", Float, nullable=False),
    Index("judgements_by_key", "key"),
)

checks = Table(
    "checks",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.run_id"), primary_key=True),
    Column("source", _NAME, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("summary", Text, nullable=False),
    Column("workflow", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("ref", _NAME, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("run_id", _ID, ForeignKey("runs.run_id"), nullable=False),
    Column("key", String(160), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("run_id", "key", name="notices_once"),
)

remarks = Table(
    "remarks",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.run_id"), primary_key=True),
    Column("remark", _ID, primary_key=True),
    Column("round", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("answered_at", Float),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("own_runs", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("revoked_at", Float),
)

spending = Table(
    "spending",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("halted_at", Float),
    Column("reason", Text),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("host", _NAME, nullable=False),
    Column("run_id", _ID, ForeignKey("runs.run_id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("repo", _NAME, nullable=False),
    Column("run_bound", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    Column("micro_usd", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
)

day_bills = Table(
    "day_bills",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("repo", _NAME, primary_key=True),
    Column("micro_usd", BigInteger, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("host", _NAME, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", _ID, nullable=False),
    Column("key", _SHA, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("settles", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", _SHA, nullable=False),
    Index("receipts_by_key", "host", "key"),
    Index("receipts_by_run", "run_id"),
)

reverts = Table(
    "reverts",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.run_id"), primary_key=True),
    Column("by", _SHA, nullable=False),
    Column("at", Float, nullable=False),
)

moments = Table(
    "moments",
    metadata,
    Column("host", _NAME, primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("seconds", Float, nullable=False),
    Column("utc", Float, nullable=False),
    Column("boot", String(64), nullable=False),
    Column("awake", Float, nullable=False),
    Column("up", Float, nullable=False),
)
