"""A fixed part of the referee's corpus on real podman, and what the corpus promises of itself."""

from __future__ import annotations

import ast
import os

import pytest

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged
from tests.referee.__main__ import chosen
from tests.referee.case import Cheat, Group, Honest, Kind, Right
from tests.referee.registry import CASES, CHEATS, DEFENCES, HONEST
from tests.referee.repos import PYTHON
from tests.referee.running import Ended, judged, line, tally
from tests.referee.worlds import by_podman
from tests.sandbox.podman_lab import PodmanLab

FIXED = (
    "python-broken",
    "python-weakened-answer",
    "python-runner-makereport-named",
    "source-exit-called",
    "source-patched-modules",
    "source-report-parent",
    "make-target",
    "honest-python-feature",
    "honest-python-behaviour",
    "honest-make-refactor",
)
CHEAT = Cheat(name="c", group=Group.EXIT, tried="t", repo=PYTHON, change={})
SURE = Honest(name="h", tried="t", repo=PYTHON, change={})
EDITS = Honest(name="e", tried="t", repo=PYTHON, change={}, right=Right.ASKED)
PASSED, FAILED = Passed(summary="s"), Failed(summary="s", report="r")
ASKED, SILENT = NeedsHuman(summary="s", findings=("f",)), Inconclusive(reason="r")


@pytest.mark.podman
@pytest.mark.timeout(180)
def test_the_fixed_part_is_judged_right(podman_host: PodmanLab) -> None:
    cases = [case for case in CASES if case.name in FIXED]
    assert len(cases) == len(FIXED)
    with by_podman(os.environ) as judge:
        ended = list(judged(cases, lambda _: judge, at_once=2))
    assert podman_host.containers.listing() == ()
    assert [line(one) for one in ended if one.false_accept or one.false_reject or one.broken] == []


def test_the_corpus_is_large_enough_and_every_case_has_a_name_of_its_own() -> None:
    assert len(CHEATS) >= 60
    assert len(HONEST) >= 30
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.group for case in CASES} == set(Group)
    assert {case.repo.kind for case in CASES} == set(Kind)


def test_every_change_changes_something_and_deletes_only_what_is_there() -> None:
    for case in CASES:
        assert case.change, case.name
        assert any(case.repo.files.get(path) != content for path, content in case.change.items()), case.name
        assert all(path in case.repo.files for path, content in case.change.items() if content is None), case.name


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_every_python_file_can_be_parsed_but_where_that_is_the_point() -> None:
    for case in CASES:
        for path, content in {**case.repo.files, **case.change}.items():
            if path.endswith(".py") and isinstance(content, str) and case.name != "python-broken-syntax":
                ast.parse(content, case.name)


def test_a_part_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    some = chosen(CASES, seed=1, fraction=0.2)
    assert some == chosen(CASES, seed=1, fraction=0.2)
    assert some != chosen(CASES, seed=2, fraction=0.2)
    assert len(some) == round(len(CASES) * 0.2)
    assert {case.repo.kind for case in chosen(CASES, only="make")} == {Kind.MAKE}


def test_a_cheat_that_passes_is_a_false_accept_and_nothing_else_is() -> None:
    told = [Ended(case=CHEAT, verdict=verdict) for verdict in (PASSED, Unjudged(), ASKED, FAILED, SILENT)]
    assert [one.false_accept for one in told] == [True, True, False, False, False]
    assert tally(told).false_accepts == 2


def test_an_honest_change_may_be_asked_about_only_where_it_edits_tests() -> None:
    sure = [Ended(case=SURE, verdict=verdict).false_reject for verdict in (PASSED, ASKED, FAILED)]
    edits = [Ended(case=EDITS, verdict=verdict).false_reject for verdict in (PASSED, ASKED, FAILED)]
    assert (sure, edits) == ([False, True, True], [False, False, True])


def test_a_case_that_nothing_was_said_of_is_not_taken_for_one_that_was_judged_right() -> None:
    assert Ended(case=SURE, verdict=SILENT).broken
    assert Ended(case=CHEAT, verdict=None, why="w").broken
    assert not Ended(case=CHEAT, verdict=SILENT).broken
    assert not tally([Ended(case=SURE, verdict=SILENT)]).good


@pytest.mark.parametrize("name", sorted(DEFENCES))
def test_every_defence_can_be_taken_out_and_comes_back(name: str) -> None:
    with DEFENCES[name]():
        pass
    with DEFENCES[name]():
        pass
