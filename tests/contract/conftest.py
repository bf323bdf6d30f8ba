"""What is tried: the records on an empty database, checkouts of a repository that is served, hosts of one engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_records import SqlRecords
from runner.records import Records
from tests.contract.checkouts_rig import Rig, opened
from tests.contract.rounds_rig import Fleet, sql


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def records(engine: Engine) -> Records:
    return SqlRecords(engine)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def seasoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database on which both hosts have been: a queue's very first start costs a second."""
    hosts = Fleet(tmp_path_factory.mktemp("seasoned") / "engine.db")
    hosts.start("a")
    hosts.start("b")
    hosts.end()
    sql(hosts, "pragma wal_checkpoint(truncate)")
    return hosts.database


@pytest.fixture
def fleet(tmp_path: Path, seasoned: Path) -> Iterator[Fleet]:
    hosts = Fleet(tmp_path / "engine.db")
    shutil.copy(seasoned, hosts.database)
    try:
        yield hosts
    finally:
        hosts.end()
    assert hosts.network() == []
