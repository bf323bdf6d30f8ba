"""What keeps moments across restarts: the fake, SQLite, and PostgreSQL where ASHIGARU_TEST_POSTGRES_URL names one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_moments import SqlMoments
from runner.adapters.sql_schema import metadata
from runner.errors import RecordsFault
from runner.moments import Moment
from runner.timeline import Kept, MomentBook
from tests.fakes.moments import FakeMoments

POSTGRES = os.environ.get("ASHIGARU_TEST_POSTGRES_URL")
BEGUN = Moment(utc=1_800_000_000.25, boot="0b5e", awake=12.5, up=1e6)
FIRST = Kept(name="wait/widgets-1-aaaaaa/2", begun=BEGUN, seconds=900.0)


@pytest.fixture(params=["fake", "sqlite", *(["postgresql"] if POSTGRES else [])])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MomentBook]:
    if request.param == "fake":
        yield FakeMoments()
        return
    engine = open_engine(f"sqlite:///{tmp_path}/ashigaru.db" if request.param == "sqlite" else str(POSTGRES))
    if request.param != "sqlite":
        with engine.begin() as connection:
            metadata.drop_all(connection)
            connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    migrate(engine)
    SqlMoments(engine, "elsewhere").keep(FIRST)
    yield SqlMoments(engine, "here")
    engine.dispose()


def test_a_moment_is_kept_as_it_is_and_once(book: MomentBook) -> None:
    assert book.all("") == []
    book.keep(FIRST)
    book.keep(FIRST)
    assert book.all("wait/") == [FIRST]


def test_a_moment_of_the_same_name_takes_its_place(book: MomentBook) -> None:
    again = Kept(name=FIRST.name, begun=Moment(utc=1.0), seconds=3.0)
    book.keep(FIRST)
    book.keep(again)
    assert book.all("wait/") == [again]


def test_moments_are_found_by_how_their_name_begins(book: MomentBook) -> None:
    other = Kept(name="since/widgets-1-aaaaaa", begun=BEGUN, seconds=1.0)
    wild = Kept(name="wait%/x", begun=BEGUN, seconds=1.0)
    for kept in (FIRST, other, wild):
        book.keep(kept)
    assert book.all("since/") == [other]
    assert book.all("wait/") == [FIRST]
    assert book.all("wait%") == [wild]


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(book: MomentBook) -> None:
    book.keep(FIRST)
    book.forget(FIRST.name)
    book.forget(FIRST.name)
    assert book.all("") == []


def test_a_database_that_is_away_is_a_fault_of_the_records(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(RecordsFault):
        SqlMoments(engine, "here").all("")
    engine.dispose()
