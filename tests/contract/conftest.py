"""What is tried: the records on an empty database, checkouts of a repository that is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_records import SqlRecords
from runner.records import Records
from tests.contract.checkouts_rig import Rig, opened


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
