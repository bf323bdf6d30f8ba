"""After a restore the forge is asked about each live run; where it stops answering, the next start does all of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_records import SqlRecords
from runner.errors import ForgeDown, UnknownRepo
from runner.model import Phase, Pull, PullState
from runner.ports import Forge
from runner.reasons import UNSEEN
from runner.reconciling import Reconciler
from runner.records import RunRecord
from runner.rounds import RoundKey, Rounds, RoundState
from runner.taking_over import TakeOver
from runner.unasked import PATIENCE_S, Unasked
from tests.contract.test_records import a_round, run
from tests.fakes.clocks import HandClock
from tests.fakes.moments import FakeMoments
from tests.unit.test_reconciling import PULL
from tests.unit.test_restarting import Floor, Line, last_of, restarter, unasked


@dataclass(kw_only=True)
class Asked:
    """A forge with one merged pull request, which says no to the questions from the `ends`-th on. gone: has nothing."""

    ends: int = 99
    gone: bool = False
    questions: int = 0
    merges: list[str] = field(default_factory=list)
    tips: dict[str, str] = field(default_factory=dict)

    def pull_of(self, _repo: str, branch: str) -> Pull | None:
        self.questions += 1
        if self.questions > self.ends:
            raise ForgeDown("The forge is away; it is tried again later.")
        if self.gone:
            raise UnknownRepo("There is no such repository; correct its name.")
        return replace(PULL, state=PullState.MERGED, merged_sha="m" * 40) if branch == "ashigaru/2" else None

    def tip(self, _repo: str, branch: str) -> str | None:
        return self.tips.get(branch)

    def merged(self, told: RunRecord, sha: str) -> None:
        self.merges.append(f"{told.run_id} {sha[0]} {told.pull}")


@dataclass(frozen=True, kw_only=True)
class Host:
    """What outlives a process: the records, the moments, the clock and the forge."""

    engine: Engine
    forge: Asked
    rounds: Line
    state_dir: Path
    clock: HandClock = field(default_factory=HandClock)
    book: FakeMoments = field(default_factory=FakeMoments)

    @property
    def records(self) -> SqlRecords:
        return SqlRecords(self.engine)

    def start(self, *, restored: bool) -> Unasked:
        """A process begins; those whom it asks about later."""
        again = restarter(self.engine, self.rounds, self.state_dir)

        def merged(told: RunRecord, sha: str) -> None:
            self.forge.merged(told, sha)
            self.records.change(told.run_id, {"phase": Phase.MERGED}, 1.0)

        reconciler = Reconciler(
            records=self.records, forge=cast("Forge", self.forge), clock=self.clock, restarter=again, merged=merged
        )
        asking = unasked(self.records, reconciler, self.clock, self.book)
        TakeOver(
            records=self.records,
            rounds=cast("Rounds", self.rounds),
            restarter=again,
            reconciler=reconciler,
            unasked=asking,
            last_of=last_of(self.records),
        ).take_over(restored=restored)
        return asking

    def run(self, run_id: str) -> RunRecord:
        told = self.records.run(run_id)
        assert told is not None
        return told


def three_runs(engine: Engine) -> None:
    """One at work, one whose pull request was merged since, and one under review."""
    records = SqlRecords(engine)
    for number, phase in ((1, Phase.AGENT), (2, Phase.GATE), (3, Phase.AWAITING_REVIEW)):
        records.claim(run(f"r-{number}", issue=number, phase=phase, branch=f"ashigaru/{number}"))
        records.save_round(a_round(f"r-{number}"), 1.0)


@pytest.fixture
def host(engine: Engine, tmp_path: Path) -> Host:
    three_runs(engine)
    return Host(engine=engine, forge=Asked(), rounds=Line(), state_dir=tmp_path)


@pytest.mark.parametrize("ends", range(3))
def test_wherever_the_forge_stops_answering_the_next_start_asks_about_the_rest_and_merges_nothing_twice(
    host: Host, ends: int
) -> None:
    host.forge.ends = ends
    with pytest.raises(ForgeDown, match=r"since the backup \(The forge is away\); nothing is done before, so start"):
        host.start(restored=True)
    host.forge.ends = 99
    host.start(restored=True)
    assert host.forge.merges == ["r-2 m 7"]
    # The line may hold a number more of the run that was asked about twice; what counts is the last, and of no other.
    assert {one.run_id for one in host.rounds.submitted} == {"r-1"}
    assert host.run("r-1").round == host.rounds.submitted[-1].number
    assert "r-2" in host.rounds.fenced
    assert [one.text for one in host.records.notices("r-2")] == [
        "Pull request #7 was merged as mmmmmmmmmmmm, which was not on record."
    ]


def test_runs_of_a_repository_that_is_not_shown_keep_no_start_and_are_left_as_they_are(host: Host) -> None:
    host.forge.gone = True
    host.start(restored=True)
    assert host.forge.questions == 3
    assert host.rounds.submitted == []
    assert sorted(host.rounds.fenced) == ["r-1", "r-2"]
    told = {name: host.run(name) for name in ("r-1", "r-2", "r-3")}
    assert [one.phase for one in told.values()] == [Phase.WAITING, Phase.WAITING, Phase.AWAITING_REVIEW]
    assert {one.round for one in told.values()} == {1}
    assert (told["r-1"].reason or "").startswith("Restored, and its repository does not show what became of it: There")
    assert (told["r-3"].reason or "").startswith(UNSEEN)


def test_the_next_start_leaves_them_too_and_when_the_repository_is_shown_each_is_told_of_once(host: Host) -> None:
    host.forge.gone = True
    host.start(restored=True)
    asking = host.start(restored=False)
    assert host.rounds.submitted == []
    asking.look()
    assert [host.run(name).phase for name in ("r-1", "r-2")] == [Phase.WAITING, Phase.WAITING]
    host.forge.gone = False
    host.clock.passes(20.0)
    for _ in range(3):
        asking.look()
        host.clock.passes(1000.0)
    assert [(one.run_id, one.number) for one in host.rounds.submitted] == [("r-1", 2)]
    assert host.forge.merges == ["r-2 m 7"]
    assert [host.run(f"r-{n}").phase for n in (1, 2, 3)] == [Phase.QUEUED, Phase.MERGED, Phase.AWAITING_REVIEW]
    assert host.book.kept == {}
    assert host.start(restored=False).holds(host.run("r-1")) is False


def test_a_repository_that_is_not_shown_is_asked_once_for_all_its_runs_and_ever_more_seldom(host: Host) -> None:
    host.forge.gone = True
    asking = host.start(restored=True)
    host.forge.questions = 0
    asked = []
    for second in range(3 * 3600):
        asking.look()
        if host.forge.questions > len(asked):
            asked.append(second)
        host.clock.passes(1.0)
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert pauses[:4] == [20, 30, 45, 68]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 600
    assert host.forge.questions == len(asked)


def test_a_forge_that_is_down_meanwhile_is_asked_again_when_it_says(host: Host) -> None:
    host.forge.gone = True
    asking = host.start(restored=True)
    host.forge.gone, host.forge.ends = False, 0
    asking.look()
    host.forge.ends = 999
    host.clock.passes(29.0)
    asking.look()
    assert host.rounds.submitted == []
    host.clock.passes(1.0)
    asking.look()
    assert len(host.rounds.submitted) == 1


def test_after_a_month_a_person_is_asked_in_the_place_of_the_forge(host: Host) -> None:
    host.forge.gone = True
    asking = host.start(restored=True)
    host.clock.passes(PATIENCE_S - 1.0)
    asking.look()
    assert host.run("r-1").phase is Phase.WAITING
    for _ in range(3):
        host.clock.passes(3600.0)
        asking.look()
    assert [host.run(f"r-{n}").phase for n in (1, 2, 3)] == [Phase.BLOCKED, Phase.BLOCKED, Phase.AWAITING_REVIEW]
    assert (host.run("r-1").reason or "").endswith("then say retry.")
    assert host.records.claim(run("r-9", issue=1)).run_id == "r-9"
    assert host.book.kept == {}


def test_one_that_is_cancelled_while_it_waits_is_asked_about_no_more(host: Host) -> None:
    host.forge.gone = True
    asking = host.start(restored=True)
    for number in (1, 2, 3):
        host.records.change(f"r-{number}", {"phase": Phase.CANCELLED}, 3.0)
    host.forge.questions, host.forge.gone = 0, False
    asking.look()
    assert (host.forge.questions, host.book.kept) == (0, {})


def test_nobody_follows_the_pull_request_of_one_that_was_set_aside(host: Host) -> None:
    host.forge.gone = True
    asking = host.start(restored=True)
    looked: list[str] = []

    def look(run_id: str) -> bool:
        looked.append(run_id)
        return True

    follow = asking.followed(look)
    assert (follow("r-3"), follow("r-4")) == (False, True)
    host.forge.gone = False
    asking.look()
    assert follow("r-3")
    assert looked == ["r-4", "r-3"]


def test_a_round_that_somebody_asked_for_meanwhile_comes_to_its_rest_before_the_forge_is_asked(host: Host) -> None:
    host.forge.gone = True
    asking = host.start(restored=True)
    host.records.change("r-3", {"phase": Phase.AGENT, "round": 2}, 3.0)
    assert not asking.holds(host.run("r-3"))
    # Of that round, and not of the one that was set aside.
    host.records.change("r-3", {"phase": Phase.WAITING}, 3.0)
    assert not asking.holds(host.run("r-3"))
    host.records.change("r-3", {"phase": Phase.AWAITING_REVIEW}, 3.0)
    assert asking.holds(host.run("r-3"))


@pytest.mark.parametrize("ends", ["fence", "save_round", "change", "clear", "submit"])
def test_work_of_a_branch_that_a_crash_kept_from_being_taken_up_is_taken_up_by_the_next_start(
    host: Host, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    host.forge.tips["ashigaru/1"] = "c" * 40
    owner = next(one for one in (SqlRecords, Floor, Line) if hasattr(one, ends))

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, ends, killed)
        with pytest.raises(Killed):
            host.start(restored=True)
    host.start(restored=True)
    last = host.rounds.submitted[-1]
    assert (last.run_id, last.start_commit, last.candidate) == ("r-1", "c" * 40, None)
    assert (host.run("r-1").head_sha, host.run("r-1").round) == ("c" * 40, last.number)
    assert len(host.records.notices("r-1")) == 1


def test_a_round_that_ends_while_a_start_looks_is_not_started_again(engine: Engine, tmp_path: Path) -> None:
    three_runs(engine)

    class Ending(Line):
        def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
            # Whoever ends a round writes the record first.
            for run_id, _ in rounds:
                SqlRecords(engine).change(run_id, {"phase": Phase.AWAITING_REVIEW}, 2.0)
            return {one: RoundState.DONE if one[1] == 1 else RoundState.ABSENT for one in rounds}

    rounds = Ending()
    Host(engine=engine, forge=Asked(), rounds=rounds, state_dir=tmp_path).start(restored=False)
    assert rounds.submitted == []
