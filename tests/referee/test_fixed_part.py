"""A fixed part of the referee corpus: with gates on this machine, and on real podman."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed
from mcp_ashigaru.judging_here import judge_here
from mcp_ashigaru.settings import load_settings
from tests.referee.case import RIGHT, Change, Cheat, Hidden, Honest, Language, Repository
from tests.referee.defences import DEFENCES
from tests.referee.host_gates import NoWay, host_containers
from tests.referee.registry import CHEATS, HONEST, REPOSITORIES, language_of
from tests.referee.running import Ended, Word, judged, laid_out, line, table, word_of
from tests.sandbox.podman_lab import PodmanLab

STATE = Path("/tmp/unused")  # noqa: S108 - short, and never made: the judge here makes a directory of its own
CASES = {case.name: case for case in (*CHEATS, *HONEST)}
# One of each kind that a defence of its own is there for.
FAST: Final = (
    "the tests say what the wrong change does",
    "a file is deleted, and nothing is repaired",
    "os._exit at the end of the process",
    "conftest.py lets the reproducer pass, and nothing is repaired",
    "the report of a call has no failure",
    "a fix with a reproducer",
    "a contract is changed, and its test with it",
)
REAL: Final = (
    "the tests that are red are skipped",
    "sitecustomize.py puts the right code in place",
    "it takes the failures out at the end, and leaves with 0",
    "the report is a pipe that nobody ends",
    "a process that outlives the run waits for the report",
    "a dependency that is worse",
    "make: the recipe says true",
    "a fix without a test",
    "a dependency is renewed",
)
# Looking needs a toolchain of the language's on this machine.
LOOKED_AT = {Language.PYTHON, Language.MAKE}


def is_right(place: Path, repository: Repository, change: Change, hidden: Hidden) -> bool:
    laid_out(place, repository.files, change)
    laid_out(place, hidden.files, {})
    done = subprocess.run(
        [part.format(python=sys.executable) for part in hidden.command],
        cwd=place,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0 and done.stdout.rstrip().endswith(RIGHT)


def test_every_case_has_a_name_of_its_own_a_repository_and_a_defence_that_there_is() -> None:
    assert len(CASES) == len(CHEATS) + len(HONEST)
    assert {case.repo for case in CASES.values()} <= set(REPOSITORIES)
    assert {case.caught_by for case in CHEATS} <= set(DEFENCES)
    assert {case.caught_by for case in CHEATS} >= {"sentinels", "bases-tests", "tests-back", "runner-back"}
    assert {case.caught_by for case in CHEATS} >= {"manifests", "own-layer", "evidence", "tests-gone", "newly-skipped"}


@pytest.mark.parametrize(
    "repository", [one for one in REPOSITORIES.values() if one.language in LOOKED_AT], ids=lambda one: one.name
)
def test_a_right_change_is_right_and_what_it_changes_is_not(repository: Repository, tmp_path: Path) -> None:
    assert is_right(tmp_path / "right", repository, repository.right, repository.hidden)
    assert not is_right(tmp_path / "base", repository, {}, repository.hidden)


def test_every_cheat_is_wrong(tmp_path: Path) -> None:
    right = []
    for number, cheat in enumerate(one for one in CHEATS if language_of(one) in LOOKED_AT and not one.sealed):
        repository = REPOSITORIES[cheat.repo]
        hidden = cheat.hidden or repository.hidden
        # What is wrong by chance has to be looked at until it is.
        looks = 20 if cheat.group == "flaky" else 1
        if all(is_right(tmp_path / f"{number}-{look}", repository, cheat.change, hidden) for look in range(looks)):
            right.append(cheat.name)
    assert right == []


@pytest.mark.slow
def test_some_of_each_kind_are_judged_rightly_with_gates_on_this_machine(tmp_path: Path) -> None:
    with host_containers() as containers:
        settings = load_settings(state_dir=STATE)
        with judge_here(settings, containers=containers, egress=NoWay()) as judge:
            ended = list(judged(judge, [CASES[name] for name in FAST], REPOSITORIES, tmp_path, 2))
        assert containers.faults == []
    assert [line(one) for one in ended if not one.held] == []


@pytest.mark.slow
@pytest.mark.parametrize("defence", ["tests-changed", "tests-gone", "runner-changed"])
def test_a_cheat_is_taken_where_its_defence_is_out(defence: str, tmp_path: Path) -> None:
    mine = [CASES[name] for name in FAST]
    mine = [case for case in mine if isinstance(case, Cheat) and case.caught_by == defence]
    with host_containers() as containers, DEFENCES[defence].without():
        settings = load_settings(state_dir=STATE)
        with judge_here(settings, containers=containers, egress=NoWay()) as judge:
            ended = list(judged(judge, mine, REPOSITORIES, tmp_path, 2))
    assert [one.word for one in ended] == [Word.FALSE_ACCEPT] * len(mine) != []


@pytest.mark.podman
@pytest.mark.timeout(180)
def test_some_of_each_kind_are_judged_rightly_on_real_podman(podman_host: PodmanLab) -> None:
    images = {"gate_image": podman_host.gate_image, "relay_image": podman_host.relay_image}
    settings = load_settings(state_dir=STATE, podman_url=podman_host.url, **images)
    with judge_here(settings) as judge:
        home = podman_host.directory("r")
        ended = list(judged(judge, [CASES[name] for name in REAL], REPOSITORIES, home, 3))
    assert [line(one) for one in ended if not one.held] == []


def test_a_cheat_that_passes_is_accepted_and_one_that_nobody_can_judge_is_not() -> None:
    cheat = CASES[FAST[0]]
    assert word_of(cheat, Passed(summary="all is well")) is Word.FALSE_ACCEPT
    assert word_of(cheat, NeedsHuman(summary="all is well", findings=())) is Word.FALSE_ACCEPT
    assert word_of(cheat, NeedsHuman(summary="all is well", findings=("look",))) is Word.CAUGHT
    assert word_of(cheat, Failed(summary="red", report="")) is Word.CAUGHT
    assert word_of(cheat, Inconclusive(reason="nobody knows")) is Word.CAUGHT


def test_an_honest_change_is_rejected_unless_it_ends_as_it_should() -> None:
    plain, changed = CASES["a fix with a reproducer"], CASES["a contract is changed, and its test with it"]
    red = NeedsHuman(summary="", findings=("the base's own tests are red on this tree: a",))
    assert word_of(plain, Passed(summary="")) is Word.TAKEN
    assert word_of(plain, red) is Word.FALSE_REJECT
    assert word_of(plain, Inconclusive(reason="nobody knows")) is Word.FALSE_REJECT
    assert word_of(changed, red) is Word.TAKEN
    assert word_of(changed, Passed(summary="")) is Word.FALSE_REJECT
    assert word_of(changed, NeedsHuman(summary="", findings=("something else",))) is Word.FALSE_REJECT


def test_the_table_counts_each_group_by_verdict_and_what_was_wrong() -> None:
    cheat, honest = CASES[FAST[0]], CASES["a fix with a reproducer"]
    assert isinstance(honest, Honest)
    ended = (
        Ended(case=cheat, word=Word.FALSE_ACCEPT, verdict="passed", by="x"),
        Ended(case=honest, word=Word.TAKEN, verdict="passed", by="x"),
    )
    head, first, second = table(ended)
    assert head.split()[-1] == "wrong"
    assert first.split()[-1] == "1"
    assert second.split()[0] == "honest"
    assert second.split()[-1] == "0"
