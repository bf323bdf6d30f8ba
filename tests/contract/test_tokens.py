"""Where tokens are kept: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Engine

import runner
from runner.adapters import sql_tokens
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_tokens import SqlTokens
from runner.callers import OPERATOR_NAME, Scope, Token, Tokens, mint
from runner.errors import NotPossible, RecordsFault


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    """A database without a table."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def tokens(empty: Engine) -> Tokens:
    migrate(empty)
    return SqlTokens(empty)


def token(name: str = "bot", now: float = 100.0, life_s: float = 60.0) -> Token:
    return mint(name, scopes=frozenset({Scope.READ, Scope.PROMOTE}), own_runs=True, life_s=life_s, now=now)[0]


def test_what_was_kept_is_found_as_it_was(tokens: Tokens) -> None:
    one, other = token(now=100.0), token("other", now=101.0)
    tokens.add(one)
    tokens.add(other)
    assert tokens.find(one.id) == one
    assert tokens.all() == [other, one]


def test_what_was_not_kept_is_not_found(tokens: Tokens) -> None:
    assert tokens.find("0" * 12) is None
    assert tokens.revoke("0" * 12, 1.0) is None
    assert tokens.all() == []


def test_a_token_is_revoked_once_and_stays_so(tokens: Tokens) -> None:
    one, other = token(), token()
    tokens.add(one)
    tokens.add(other)
    assert tokens.revoke(one.id, 110.0) == replace(one, revoked_at=110.0)
    assert tokens.revoke(one.id, 120.0) == replace(one, revoked_at=110.0)
    assert tokens.find(other.id) == other


def test_there_are_no_more_than_the_bound_and_the_dead_make_room(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_tokens, "MAX_TOKENS", 3)
    expired, revoked, live = token(now=10.0), token(now=20.0, life_s=1000), token(now=30.0, life_s=1000)
    for one in (expired, revoked, live):
        tokens.add(one)
    tokens.revoke(revoked.id, 40.0)
    second, third = token(now=200.0, life_s=1000), token(now=210.0, life_s=1000)
    tokens.add(second)
    assert tokens.all() == [second, live, replace(revoked, revoked_at=40.0)]
    tokens.add(third)
    with pytest.raises(NotPossible, match="revoke one"):
        tokens.add(token(now=220.0))
    assert tokens.all() == [third, second, live]


def test_a_database_that_is_away_is_a_fault_with_a_cure(tmp_path: Path) -> None:
    tokens = SqlTokens(open_engine(f"sqlite:///{tmp_path}/not-migrated.db"))
    with pytest.raises(RecordsFault, match="check its disk"):
        tokens.find("0" * 12)


def test_runs_from_before_there_were_tokens_are_the_operators(empty: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(runner.__file__).parent / "migrations"))
    with empty.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    run = {"repo": "widgets", "issue": 1, "brief": "b", "phase": "merged", "base_branch": "main", "branch": "b"}
    run |= {"run_id": "widgets-1-aaaaaa", "created_at": 1.0, "updated_at": 1.0, "start_tier": 0, "round": 1}
    run |= {"attempt": 0, "cancel_requested": False, "cursor": 1, "waits": 0}
    with empty.begin() as connection:
        connection.execute(sa.table("runs", *(sa.column(name) for name in run)).insert().values(**run))
    migrate(empty)
    kept = SqlRecords(empty).run("widgets-1-aaaaaa")
    assert kept is not None
    assert kept.owner == OPERATOR_NAME
