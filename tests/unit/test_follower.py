"""One look at a pull request: what was just answered counts in what is decided."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from runner.adapters.sql_records import SqlRecords
from runner.allowed import FollowPolicy
from runner.ci import CiPolicy
from runner.follower import Follower
from runner.following import MOST_FRUITLESS
from runner.model import Bounds, Check, Phase, Pull, RequiredCheck, RoundInput
from runner.ports import Checkouts, Forge
from runner.remarks import Remark, RemarkKind
from tests.contract.test_records import TIER, a_round, run
from tests.fakes.clocks import HandClock
from tests.fakes.pulls import a_pull

HEAD = "h" * 40
PULL = a_pull(head_branch="ashigaru/1-aaaaaa", head_sha=HEAD)


@dataclass(frozen=True, kw_only=True)
class Board:
    """A forge with one pull request that no check has registered for; it keeps what was said there."""

    asked: tuple[Remark, ...]
    said: list[str] = field(default_factory=list)

    def pull(self, _repo: str, _number: int) -> Pull:
        return PULL

    def checks(self, _repo: str, _sha: str) -> tuple[Check, ...]:
        return ()

    def required_checks(self, _repo: str, _branch: str) -> tuple[RequiredCheck, ...]:
        return ()

    def remarks(self, _repo: str, _number: int) -> tuple[Remark, ...]:
        return self.asked

    def say(self, _repo: str, _number: int, _key: str, _text: str, *, remark: str) -> None:
        self.said.append(remark)


class Lenient:
    """Ages of things that nobody is in a hurry about, and a guard that has nothing to say."""

    def now(self, _run_id: str, since: float) -> float:
        return since

    def seen_s(self, _what: str) -> float:
        return 0.0

    def leaving(self, _run_id: str, *_parts: str) -> None:
        pass


def remark(name: str) -> Remark:
    return Remark(id=name, kind=RemarkKind.COMMENT, author="ann", may_ask=True, body="Say it better.", at=5.0)


def follower(records: SqlRecords, forge: Board, submitted: list[RoundInput]) -> Follower:
    lenient: Any = Lenient()
    return Follower(
        records=records,
        forge=cast("Forge", forge),
        checkouts=cast("Checkouts", None),
        clock=HandClock(),
        ages=lenient,
        policy=FollowPolicy(ci=CiPolicy(trusted=("*",)), ladder=(TIER,), bounds=Bounds(), settle_s=0.0),
        alone=lambda _run_id: nullcontext(),
        landed=lambda _run, _sha: True,
        submit=lambda round_input, _also=None: submitted.append(round_input),
        guard=lenient,
    )


@pytest.mark.parametrize(("before", "rounds"), [(MOST_FRUITLESS - 1, 0), (MOST_FRUITLESS - 2, 1)])
def test_the_round_that_was_answered_for_in_a_look_counts_when_it_decides_about_the_next_remark(
    records: SqlRecords, before: int, rounds: int
) -> None:
    followed = records.claim(
        run(phase=Phase.AWAITING_REVIEW, round=2, pull=1, head_sha=HEAD, published_at=10.0, fruitless=before)
    )
    # The second round was told of one remark, and went away with the head that it found.
    records.save_round(a_round(followed.run_id), 1.0)
    records.save_round(replace(a_round(followed.run_id, 2), start_commit=HEAD), 2.0)
    records.take_up(followed.run_id, 2, (("comment:1", 5.0),))
    board, submitted = Board(asked=(remark("comment:1"), remark("comment:2"))), list[RoundInput]()
    assert follower(records, board, submitted).look(followed.run_id)
    assert board.said == ["comment:1"]
    assert [one.remarks for one in submitted] == [("comment:2",)] * rounds
    told = records.run(followed.run_id)
    assert told is not None
    assert told.fruitless == before + 1
    assert (told.phase, "changed nothing" in (told.reason or "")) == (Phase.AWAITING_REVIEW, rounds == 0)
