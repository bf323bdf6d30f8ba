"""Every migration, on a database with a row in each of its tables: nothing is lost, and the daemon reads all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

import runner
from runner.adapters.forge_store import SqlForgeStore
from runner.adapters.sql_engine import migrate, open_engine, ready
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_spending import SqlSpending
from runner.adapters.sql_tokens import SqlTokens
from runner.adapters.system_clock import SystemClock
from runner.errors import NotPossible
from runner.model import Phase
from runner.spending import DayBudgets

RUN = "widgets-1-aaaaaa"
SHA = "a" * 40
ROUND = {
    "run_id": RUN,
    "number": 1,
    "repo": "widgets",
    "issue": 1,
    "brief": "Totals are off by one.",
    "base_branch": "main",
    "branch": "ashigaru/1-aaaaaa",
    "ladder": [
        {
            "name": "small",
            "model": "sonnet",
            "effort": "low",
            "max_turns": 9,
            "max_micro_usd": 9,
            "wall_s": 60,
            "idle_s": 30,
        }
    ],
    "bounds": {"infra_retries": 2, "gate_retries": 2, "policy_warnings": 1, "run_micro_usd": 20_000_000},
    "start_tier": 0,
    "first_attempt": 1,
    "start_commit": None,
    "feedback": None,
    "pull": None,
    "rejudge": False,
    "protocol": 1,
}
"""A round's input as the first version wrote it."""
VERDICT = {"kind": "passed", "summary": "9 passed", "findings": []}
COUNTS = {"tests": 9, "skipped": 0, "failed": 0, "names": ["a"]}
VALUES: dict[str, dict[str, Any]] = {
    "runs": {
        "repo": "widgets",
        "phase": "awaiting_review",
        "base_branch": "main",
        "branch": "ashigaru/1-aaaaaa",
        "start_tier": 0,
        "round": 1,
        "tier": "small",
        "attempt": 1,
        "base_sha": SHA,
        "head_sha": "b" * 40,
        "head_tree": "c" * 40,
        "pull": 2,
        "cancel_requested": False,
        "waits": 0,
        "owner": "operator",
        "priority": "high",
    },
    "rounds": {"input": ROUND, "number": 1},
    "attempts": {"transcript": None, "ending": "completed", "tier": "small", "model": "sonnet", "effort": "low"},
    "judgements": {"what": "head", "verdict": VERDICT, "counts": COUNTS, "commit": "b" * 40},
    "checks": {"state": "passed"},
    "notices": {"kind": "merged"},
    "forge_pulls": {"state": "open", "number": 2, "head_branch": "ashigaru/1-aaaaaa", "labels": ["ashigaru"]},
    "forge_checks": {"state": "passed", "source": "ashigaru"},
    "forge_comments": {"kind": "comment", "number": 2, "stance": "commented", "thread": None, "path": None},
    "spending": {"id": 1, "halted_at": None},
    "tokens": {"scopes": "read,dispatch"},
    "receipts": {"host": "here", "number": 1, "body": "{}", "stage": "done", "settles": 0},
}
"""What a column holds where any value of its type would not do."""
LOST = {("checks", "0001"), ("checks", "0002")}
"""Tables that a later migration makes anew, by the revision they come from: a copy of what the forge says."""


def script() -> tuple[Config, list[str]]:
    config = Config()
    config.set_main_option("script_location", str(Path(runner.__file__).parent / "migrations"))
    return config, [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def bring_to(engine: Engine, revision: str) -> None:
    config, _ = script()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def any_value(column: sa.Column[Any]) -> Any:
    """A value that the column's type allows."""
    match column.type:
        case sa.JSON():
            return {}
        case sa.Boolean():
            return False
        case sa.Float():
            return 11.5
        case sa.Integer():
            return 1
        case sa.String(length=length):
            return "x" * min(length or 5, 5)
        case other:
            raise AssertionError(f"write a value for {column}, which is {other!r}")


def fill(connection: Connection) -> dict[str, dict[str, Any]]:
    """A row in each table there is, as that schema has it; by table, what was written."""
    there = sa.MetaData()
    there.reflect(connection)
    written = {}
    for table in there.sorted_tables:
        if table.name == "alembic_version":
            continue
        row = {}
        for column in table.columns:
            values = VALUES.get(table.name, {})
            if column.name in values:
                row[column.name] = values[column.name]
            elif column.name == "run_id":
                row[column.name] = RUN
            elif column.name == "repo":
                row[column.name] = "widgets"
            elif not column.nullable:
                row[column.name] = any_value(column)
        # A revision may have put a row there itself.
        connection.execute(table.delete())
        connection.execute(table.insert().values(**stored(connection, table, row)))
        written[table.name] = row
    return written


def stored(connection: Connection, table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """SQLite's columns do not say that they are JSON, so it is written as text there."""
    sqlite = connection.dialect.name == "sqlite"
    return {
        name: json.dumps(value)
        if isinstance(value, dict | list) and sqlite and not isinstance(table.c[name].type, sa.JSON)
        else value
        for name, value in row.items()
    }


def as_read(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in {"{", "["} else value


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("revision", script()[1])
def test_an_upgrade_from_any_revision_keeps_every_row(engine: Engine, revision: str) -> None:
    bring_to(engine, revision)
    with engine.begin() as connection:
        written = fill(connection)
    assert len(written) >= 11
    migrate(engine)
    there = sa.MetaData()
    with engine.connect() as connection:
        there.reflect(connection)
        for name, row in written.items():
            if (name, revision) in LOST:
                continue
            found = connection.execute(there.tables[name].select()).mappings().one()
            assert {column: as_read(found[column]) for column in row} == {
                column: as_read(value) for column, value in row.items()
            }, name
    read_by_the_daemon(engine)


def read_by_the_daemon(engine: Engine) -> None:
    """Every store reads what was there before, as a daemon would."""
    records = SqlRecords(engine)
    run = records.run(RUN)
    assert run is not None
    assert (run.phase, run.owner, run.pull) == (Phase.AWAITING_REVIEW, "operator", 2)
    assert records.run_of_pull("widgets", 2) == run
    began = records.round_input(RUN, 1)
    assert began is not None
    assert began.ladder[0].name == "small"
    assert [one.attempt for one in records.attempts(RUN)] == [1]
    assert records.judgements(RUN)[0].verdict.kind == "passed"
    assert len(records.events(RUN)) == 1
    records.checks(RUN), records.notices(RUN), records.taken_up(RUN), records.watched(10), records.spent(RUN)
    records.change(RUN, {"reason": "read"}, 20.0)
    clock = SystemClock()
    budgets = DayBudgets(repo_micro_usd=0, all_micro_usd=0)
    assert SqlSpending(engine, clock, host="here", budgets=budgets).halted() is None
    SqlTokens(engine).all()
    SqlReceipts(engine, clock, host="here", anchors=Path("/nowhere")).recover()
    store = SqlForgeStore(engine)
    pull = store.pull("widgets", 2)
    assert pull is not None
    assert pull.head_branch == "ashigaru/1-aaaaaa"
    assert [one.source for one in store.talk.checks("widgets", "xxxxx")] == ["ashigaru"]


def test_a_newer_schema_is_refused_with_a_sentence_and_left_as_it_is(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotPossible, match=r"newer version of mcp-ashigaru \(schema 9999\); start that one"):
        migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_a_command_beside_a_daemon_leaves_an_older_schema_as_it_is_and_makes_a_new_one(engine: Engine) -> None:
    _, revisions = script()
    bring_to(engine, revisions[0])
    with pytest.raises(NotPossible, match="written by an older version of mcp-ashigaru"):
        ready(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == revisions[0]
    migrate(engine)
    ready(engine)
    assert SqlRecords(engine).runs() == []


def test_an_upgrade_that_fails_leaves_the_schema_as_it_was(engine: Engine) -> None:
    bring_to(engine, "0001")
    with engine.begin() as connection:
        # Whatever stands in the way of the third migration: the second has been done by then.
        connection.execute(sa.text("CREATE TABLE notices (id INTEGER)"))
    with pytest.raises(Exception, match="records database cannot be opened"):
        migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "0001"
        assert "forge_required" not in sa.inspect(connection).get_table_names()
