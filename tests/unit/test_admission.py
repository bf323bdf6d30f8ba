"""How many runs there may be: what is refused, in one sentence, and what the operator has said of whom."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.admission import AdmissionControl, RepoLimits, RunLimits, refusal
from runner.callers import OPERATOR_NAME
from runner.errors import NotPossible
from runner.slots import Counted, SlotBook

NONE = RunLimits(repo_live=0, repo_queued=0, caller_live=0, caller_queued=0)
EVERYBODYS = RepoLimits()


class Book:
    """Counts that a test says."""

    def __init__(self, **counts: Counted) -> None:
        self._counts = counts

    def counted(self, *, repo: str | None = None, owner: str | None = None) -> Counted:
        return self._counts.get(repo or owner or "", Counted())


def control(book: Book, limits: RunLimits, repo: RepoLimits = EVERYBODYS) -> AdmissionControl:
    return AdmissionControl(book=cast("SlotBook", book), limits=limits, of_repo=lambda _: repo)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_one_more_is_refused_exactly_where_it_would_be_one_too_many(
    live: int, queued: int, most_live: int, most_queued: int
) -> None:
    said = refusal("It has", Counted(live=live, queued=queued), live=most_live, queued=most_queued, where="repo")
    too_many = (most_live > 0 and live + 1 > most_live) or (most_queued > 0 and queued + 1 > most_queued)
    assert (said is not None) == too_many
    assert said is None or (said.count(". ") == 0 and said.endswith("."))


def test_a_repositorys_own_number_stands_over_everybodys() -> None:
    book = Book(widgets=Counted(live=3, queued=1))
    limits = RunLimits(repo_live=2)
    with pytest.raises(NotPossible, match="widgets has 3 live runs of at most 2"):
        control(book, limits).admit("widgets", OPERATOR_NAME)
    control(book, limits, RepoLimits(live=0)).admit("widgets", OPERATOR_NAME)
    with pytest.raises(NotPossible, match="1 runs in the queue of at most 1"):
        control(book, limits, RepoLimits(live=9, queued=1)).admit("widgets", OPERATOR_NAME)


def test_the_operator_is_no_caller() -> None:
    book = Book(**{OPERATOR_NAME: Counted(live=999), "bot": Counted(live=999)})
    control(book, RunLimits()).admit("widgets", OPERATOR_NAME)
    with pytest.raises(NotPossible, match="Your token has 999 live runs of at most 200"):
        control(book, RunLimits()).admit("widgets", "bot")
    control(book, NONE).admit("widgets", "bot")
