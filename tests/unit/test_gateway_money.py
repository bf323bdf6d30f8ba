"""What the model gateway lets through while there is money for it, and how it is counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.gateway.access import gateways
from runner.gateway.egress import Egress
from runner.gateway.exchange import BUDGET_WORDS
from runner.spending import Asking, Barrier, DayBudgets
from tests.fakes.gateway_rig import (
    COSTS_SIX,
    PRICES,
    error_of,
    house,
)
from tests.fakes.spending import FailingSpending, MemorySpending
from tests.fakes.upstream import (
    PATIENCE_S,
    AnsweringUpstream,
    HeldUpstream,
)


def test_a_run_without_money_is_refused_for_good(tmp_path: Path) -> None:
    upstream = AnsweringUpstream(chunks=(COSTS_SIX,))
    with house(tmp_path, upstream) as one:
        grant = one.grant(budget=12)
        assert [one.ask(grant).status_code for _ in range(2)] == [200, 200]
        assert len(upstream.asked) == 2
        response = one.ask(grant)
        assert (response.status_code, error_of(response)) == (400, "invalid_request_error")
        assert BUDGET_WORDS in response.text
        assert len(upstream.asked) == 2
        assert one.gateway.refused("r", 1) is Barrier.RUN
        assert one.gateway.refused("other", 1) is None
        assert one.settled() == 12


def test_a_new_grant_with_more_money_is_not_exhausted(tmp_path: Path) -> None:
    with house(tmp_path, AnsweringUpstream(chunks=(COSTS_SIX,))) as one:
        grant = one.grant(budget=6)
        assert [one.ask(grant).status_code for _ in range(2)] == [200, 400]
        one.grant(attempt=2, budget=100)
        assert one.gateway.refused("r", 2) is None


def test_a_gateway_that_was_restarted_still_knows_that_the_money_is_used_up(tmp_path: Path) -> None:
    books = MemorySpending()
    books.add("r", 50)
    with house(tmp_path, AnsweringUpstream(), books=books) as one:
        one.grant(budget=50)
        assert one.gateway.refused("r", 1) is Barrier.RUN


def test_near_the_end_of_the_money_one_question_waits_for_the_other(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(b" ", COSTS_SIX))
    with house(tmp_path, upstream) as one, ThreadPoolExecutor(4) as pool:
        grants = [one.grant(attempt=number, budget=13) for number in (1, 2, 3, 4)]
        answers = [pool.submit(one.ask, grant) for grant in grants]
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        upstream.go_on.set()
        told = sorted(answer.result(PATIENCE_S).status_code for answer in answers)
        assert told == [200, 200, 200, 400]
        assert upstream.most_at_once == 1
        assert one.settled() == 18


def test_with_money_enough_questions_are_asked_side_by_side(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(b" ", COSTS_SIX))
    with house(tmp_path, upstream) as one, ThreadPoolExecutor(2) as pool:
        grant = one.grant()
        answers = [pool.submit(one.ask, grant) for _ in range(2)]
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        upstream.go_on.set()
        assert [answer.result(PATIENCE_S).status_code for answer in answers] == [200, 200]


def test_what_the_books_would_not_take_is_offered_again(tmp_path: Path) -> None:
    books = FailingSpending()
    with house(tmp_path, AnsweringUpstream(chunks=(COSTS_SIX,)), books=books) as one:
        grant = one.grant()
        assert one.ask(grant).status_code == 200
        refused = one.ask(grant)
        assert (refused.status_code, error_of(refused)) == (529, "overloaded_error")
        books.out_of_order = False
        assert one.ask(grant).status_code == 200
        assert one.settled() == 12


def test_a_budget_that_cannot_be_read_lets_nothing_through(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream, books=FailingSpending(unreadable=True)) as one:
        assert one.ask(one.grant()).status_code == 529
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("barrier", "words"),
    [(Barrier.HALTED, "halted"), (Barrier.REPO_DAY, "repository's budget"), (Barrier.DAY, "budget of the day")],
)
def test_a_halt_and_a_budget_of_the_day_refuse_the_next_question(tmp_path: Path, barrier: Barrier, words: str) -> None:
    upstream = AnsweringUpstream(chunks=(COSTS_SIX,))
    bounds = DayBudgets(
        repo_micro_usd=6 if barrier is Barrier.REPO_DAY else 0, all_micro_usd=6 if barrier is Barrier.DAY else 0
    )
    with house(tmp_path, upstream, books=MemorySpending(budgets=bounds)) as one:
        grant = one.grant()
        assert one.gateway.closed("widgets") is None
        assert one.ask(grant).status_code == 200
        if barrier is Barrier.HALTED:
            one.books.halt("")
        response = one.ask(grant)
        assert (response.status_code, error_of(response)) == (400, "invalid_request_error")
        assert words in response.text
        assert one.gateway.refused("r", 1) is one.gateway.closed("widgets") is barrier
        one.books.resume()
        one.books.budgets = DayBudgets()
        assert one.ask(grant).status_code == 200
        assert one.gateway.refused("r", 1) is None
    assert len(upstream.asked) == 2


def test_what_a_dead_gateway_left_is_counted_when_the_next_one_starts() -> None:
    books = MemorySpending()
    books.reserve(Asking(run_id="r", attempt=1, repo="widgets", run_bound=100, estimate=40))
    with gateways(
        upstream=AnsweringUpstream(),
        credential=None,
        prices=PRICES,
        spending=books,
        egress=Egress(allowed=frozenset(), private_hosts=frozenset()),
    ):
        assert (books.spent("r"), books.held) == (40, {})
