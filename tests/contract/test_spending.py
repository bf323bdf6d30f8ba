"""The books: what is promised, what is spent, what a day may cost, and the switch that halts all of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy.engine import Engine

from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import metadata
from runner.adapters.sql_schema import spending as spending_switch
from runner.adapters.sql_spending import SqlSpending
from runner.model import Phase
from runner.records import AttemptRecord, RunRecord
from runner.spending import (
    DAY_S,
    Account,
    Asking,
    Barrier,
    Busy,
    DayBudgets,
    Refused,
    Reserved,
    Spending,
    day_of,
    next_day_at,
    weigh,
)
from tests.fakes.spending import MemorySpending

NOON = 20_000 * DAY_S + 43_200.0


@dataclass(kw_only=True)
class Noon:
    """A clock that a test turns."""

    at: float = NOON

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Books(Protocol):
    """Opens books on the same memory."""

    def __call__(self, repo: int = 0, everything: int = 0, host: str = "here") -> Spending: ...


def a_run(run_id: str, repo: str) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        repo=repo,
        issue=int(run_id[1:]),
        brief="b",
        model=None,
        phase=Phase.AGENT,
        base_branch="main",
        branch=run_id,
        created_at=1.0,
        updated_at=1.0,
        start_tier=0,
    )


def an_attempt(run_id: str, number: int = 1) -> AttemptRecord:
    return AttemptRecord(
        run_id=run_id,
        attempt=number,
        round=1,
        tier="small",
        model="sonnet",
        effort="low",
        from_commit="c",
        placeholder="p",
        started_at=1.0,
    )


@dataclass(kw_only=True)
class Desk:
    """A database with three runs, two of them of one repository, and a clock."""

    engine: Engine
    clock: Noon = field(default_factory=Noon)

    @property
    def records(self) -> SqlRecords:
        return SqlRecords(self.engine)

    def books(self, repo: int = 0, everything: int = 0, host: str = "here") -> SqlSpending:
        budgets = DayBudgets(repo_micro_usd=repo, all_micro_usd=everything)
        return SqlSpending(self.engine, self.clock, host=host, budgets=budgets)


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    engine = open_engine(database_url)
    migrate(engine)
    desk = Desk(engine=engine)
    for run_id, repo in (("r1", "Acme/widgets"), ("r2", "acme/Widgets"), ("r3", "acme/gears")):
        desk.records.claim(a_run(run_id, repo))
        for number in (1, 2):
            desk.records.begin_attempt(an_attempt(run_id, number))
    yield desk
    engine.dispose()


@pytest.fixture(params=["memory", "sql"])
def books(request: pytest.FixtureRequest, desk: Desk) -> Books:
    if request.param == "sql":
        return desk.books
    kept = MemorySpending()

    def in_memory(repo: int = 0, everything: int = 0, host: str = "here") -> Spending:  # noqa: ARG001 - as the others
        kept.budgets = DayBudgets(repo_micro_usd=repo, all_micro_usd=everything)
        return kept

    return in_memory


def asking(run_id: str = "r1", estimate: int = 10, bound: int = 1000, repo: str = "acme/widgets") -> Asking:
    return Asking(run_id=run_id, attempt=1, repo=repo, run_bound=bound, estimate=estimate)


def spend(kept: Spending, cost: int, **changes: object) -> None:
    answer = kept.reserve(asking(**changes))  # type: ignore[arg-type]
    assert isinstance(answer, Reserved)
    kept.settle(answer.id, cost)


def test_what_is_reserved_counts_until_it_is_settled_and_then_what_it_cost(books: Books) -> None:
    kept = books()
    answer = kept.reserve(asking(estimate=600))
    assert isinstance(answer, Reserved)
    assert kept.reserve(asking(estimate=600)) == Busy()
    assert isinstance(kept.reserve(asking(estimate=400)), Reserved)
    kept.settle(answer.id, 5)
    kept.settle(answer.id, 500)
    assert kept.today().spent == 405
    assert isinstance(kept.reserve(asking(estimate=590)), Reserved)


def test_the_last_of_a_budget_is_asked_for_alone_and_then_there_is_none(books: Books) -> None:
    kept = books()
    spend(kept, 999)
    answer = kept.reserve(asking(estimate=500))
    assert isinstance(answer, Reserved), "what is left may be used, and one answer at most overshoots"
    assert kept.reserve(asking(estimate=1)) == Busy()
    kept.settle(answer.id, 20)
    assert kept.reserve(asking(estimate=1)) == Refused(barrier=Barrier.RUN)
    assert kept.barrier("acme/widgets", "r1", 1000) is Barrier.RUN
    assert kept.barrier("acme/widgets") is None
    assert isinstance(kept.reserve(asking("r2")), Reserved)


def test_a_repositorys_day_is_shared_by_its_runs_and_by_no_other(books: Books) -> None:
    kept = books(repo=100)
    spend(kept, 100)
    assert kept.reserve(asking("r2")) == Refused(barrier=Barrier.REPO_DAY)
    assert kept.barrier("acme/widgets") is Barrier.REPO_DAY
    assert kept.barrier("acme/gears") is None
    assert isinstance(kept.reserve(asking("r3", repo="acme/gears")), Reserved)


def test_a_repository_is_one_whatever_its_letters_case(desk: Desk) -> None:
    kept = desk.books(repo=100)
    spend(kept, 100, repo="ACME/Widgets")
    assert kept.reserve(asking("r2", repo="acme/widgets")) == Refused(barrier=Barrier.REPO_DAY)
    assert kept.today("Acme/WIDGETS").repo_spent == 100


def test_the_day_is_shared_by_all_and_turns_at_midnight_utc(desk: Desk) -> None:
    kept = desk.books(everything=100)
    spend(kept, 100)
    assert kept.reserve(asking("r3", repo="acme/gears")) == Refused(barrier=Barrier.DAY)
    desk.clock.at = next_day_at(NOON) - 0.5
    assert kept.barrier("acme/gears") is Barrier.DAY
    desk.clock.at = next_day_at(NOON)
    assert kept.barrier("acme/gears") is None
    assert kept.today().spent == 0


def test_an_answer_after_midnight_is_on_the_bill_of_the_day_it_was_asked_on(desk: Desk) -> None:
    kept = desk.books(everything=100)
    answer = kept.reserve(asking(estimate=70))
    assert isinstance(answer, Reserved)
    desk.clock.at = next_day_at(NOON)
    assert kept.today().spent == 0
    kept.settle(answer.id, 60)
    assert kept.today().spent == 0
    desk.clock.at = NOON
    assert kept.today().spent == 60


def test_a_crash_leaves_what_was_reserved_on_the_books_and_holds_up_nobody(desk: Desk) -> None:
    desk.books(everything=1000).reserve(asking(estimate=600, bound=1000))
    after = desk.books(everything=1000)
    assert after.today().spent == 600
    assert desk.records.spent("r1") == 600
    assert after.reserve(asking("r2", estimate=600)) == Busy()
    assert desk.books(host="elsewhere").forfeit() == 0
    assert after.forfeit() == 1
    assert after.forfeit() == 0
    assert after.today().spent == desk.records.spent("r1") == 600
    assert [one.micro_usd for one in desk.records.attempts("r1")] == [600, 0]
    assert isinstance(after.reserve(asking("r2", estimate=600)), Reserved), "nobody waits for the dead"


def test_of_two_daemons_one_gets_the_last_of_the_day(desk: Desk) -> None:
    daemons = [desk.books(everything=100, host=host) for host in ("one", "two")]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: daemons[n % 2].reserve(asking(f"r{1 + n % 3}", estimate=60)), range(16)))
    assert sum(isinstance(one, Reserved) for one in answers) == 1
    assert desk.books().today().spent == 60


def test_no_cent_is_lost_at_once(desk: Desk) -> None:
    kept = desk.books()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: spend(kept, 1_000_001, run_id=f"r{1 + n % 2}", bound=10**9), range(20)))
    assert desk.records.spent("r1") == desk.records.spent("r2") == 10_000_010
    assert kept.today("acme/widgets").repo_spent == kept.today().spent == 20_000_020


def test_a_halt_stops_everybody_until_it_is_lifted_and_its_first_reason_stays(books: Books) -> None:
    kept = books()
    assert kept.halted() is None
    first = kept.halt("something burns")
    assert kept.halt("another") == first == kept.halted()
    assert kept.reserve(asking()) == Refused(barrier=Barrier.HALTED)
    assert books(host="elsewhere").barrier("acme/gears") is Barrier.HALTED
    today = kept.today().halt
    assert today is not None
    assert today.reason == "something burns"
    assert kept.resume()
    assert not kept.resume()
    assert kept.today().halt is None
    assert isinstance(kept.reserve(asking()), Reserved)


def test_what_is_under_way_is_settled_though_spending_is_halted(books: Books) -> None:
    kept = books()
    answer = kept.reserve(asking())
    assert isinstance(answer, Reserved)
    kept.halt("")
    kept.settle(answer.id, 7)
    assert kept.today().spent == 7


def test_a_person_is_told_once_when_a_budget_comes_to_its_end(desk: Desk) -> None:
    kept = desk.books(repo=500, everything=1000)
    spend(kept, 399)
    assert desk.records.notices("r1") == []
    spend(kept, 1)
    spend(kept, 1)
    assert [one.text.partition(":")[0] for one in desk.records.notices("r1")] == [
        "The repository's budget of the day comes to its end"
    ]
    spend(kept, 399, run_id="r3", repo="acme/gears", bound=450)
    told = {one.text.partition(" comes")[0] for one in desk.records.notices("r3")}
    assert told == {"The run's budget", "The budget of the day"}


accounts = st.builds(
    Account,
    barrier=st.sampled_from([Barrier.RUN, Barrier.REPO_DAY, Barrier.DAY]),
    bound=st.integers(1, 1000),
    spent=st.integers(0, 1200),
    held=st.integers(0, 300),
)


@given(st.lists(accounts, max_size=3), st.integers(0, 400))
def test_side_by_side_questions_never_promise_more_than_there_is(kept: list[Account], estimate: int) -> None:
    answer = weigh(None, tuple(kept), estimate)
    if answer is None:
        for one in kept:
            assert one.spent < one.bound
            assert one.held == 0 or one.spent + one.held + estimate <= one.bound
    elif isinstance(answer, Refused):
        assert any(one.spent >= one.bound and one.barrier is answer.barrier for one in kept)
    else:
        assert any(one.held for one in kept), "nobody waits for nothing"


@given(st.floats(0, 4e9))
def test_the_next_day_is_the_very_next(at: float) -> None:
    assert 0 < next_day_at(at) - at <= DAY_S
    assert day_of(next_day_at(at)) == day_of(at) + 1


class SqlAsMemory(RuleBasedStateMachine):
    """The books in SQL do as those in memory, whatever comes in which order; and neither promises too much."""

    BOUND = 1000
    BUDGETS = DayBudgets(repo_micro_usd=700, all_micro_usd=1200)

    def __init__(self) -> None:
        super().__init__()
        self.engine = open_engine("sqlite://")
        metadata.create_all(self.engine)
        with self.engine.begin() as db:
            db.execute(spending_switch.insert().values(id=1))
        self.sql = SqlSpending(self.engine, Noon(), host="here", budgets=self.BUDGETS)
        self.memory = MemorySpending(budgets=self.BUDGETS)
        records = SqlRecords(self.engine)
        for run_id, repo in RUNS.items():
            records.claim(a_run(run_id, repo))
            records.begin_attempt(an_attempt(run_id))
        self.open: list[tuple[int, int]] = []

    @rule(run_id=st.sampled_from(["r1", "r2", "r3"]), estimate=st.integers(1, 400))
    def reserve(self, run_id: str, estimate: int) -> None:
        wanted = asking(run_id, estimate, self.BOUND, RUNS[run_id])
        told, expected = self.sql.reserve(wanted), self.memory.reserve(wanted)
        assert type(told) is type(expected)
        if isinstance(told, Reserved) and isinstance(expected, Reserved):
            self.open.append((told.id, expected.id))
        else:
            assert told == expected

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 30), cost=st.integers(0, 500))
    def settle(self, which: int, cost: int) -> None:
        in_sql, in_memory = self.open.pop(which % len(self.open))
        for _ in range(2):
            self.sql.settle(in_sql, cost)
            self.memory.settle(in_memory, cost)

    @rule(halted=st.booleans())
    def switch(self, *, halted: bool) -> None:
        for one in (self.sql, self.memory):
            one.halt("") if halted else one.resume()

    @rule()
    def crash(self) -> None:
        assert self.sql.forfeit() == self.memory.forfeit()
        self.open = []

    @invariant()
    def they_agree(self) -> None:
        for repo in RUNS.values():
            assert self.sql.today(repo).repo_spent == self.memory.today(repo).repo_spent
            assert self.sql.barrier(repo) == self.memory.barrier(repo)

    def teardown(self) -> None:
        self.engine.dispose()


RUNS = {"r1": "acme/widgets", "r2": "acme/widgets", "r3": "acme/gears"}
TestSqlAsMemory = SqlAsMemory.TestCase
TestSqlAsMemory.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
