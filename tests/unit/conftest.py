"""The records' database, migrated and empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_records import SqlRecords
from tests.fakes.records_file import laid_down


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(f"sqlite:///{laid_down(tmp_path / 'ashigaru.db')}")
    yield opened
    opened.dispose()


@pytest.fixture
def records(engine: Engine) -> SqlRecords:
    return SqlRecords(engine)
