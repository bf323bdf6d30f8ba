"""The daemon's memory: one suite for SQLite and for PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from gates.observed import Counts
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict
from runner.adapters.sql_records import SqlRecords
from runner.agent_events import Event, EventKind
from runner.errors import RecordsFault
from runner.model import Bounds, Check, CheckState, Phase, RoundInput, Tier
from runner.records import AttemptRecord, Judgement, Records, RunRecord
from runner.transcript import Transcript

TIER = Tier(name="small", model="sonnet", effort="low", max_turns=1, max_micro_usd=1, wall_s=1, idle_s=1)


def run(run_id: str = "widgets-1-aaaaaa", **changes: object) -> RunRecord:
    fresh = RunRecord(
        run_id=run_id,
        repo="widgets",
        issue=1,
        brief="Totals are off by one.",
        model=None,
        phase=Phase.QUEUED,
        base_branch="main",
        branch="ashigaru/1-aaaaaa",
        created_at=10.0,
        updated_at=10.0,
        start_tier=0,
        tier="small",
    )
    return replace(fresh, **changes)  # type: ignore[arg-type]


def attempt(number: int = 1, **changes: object) -> AttemptRecord:
    fresh = AttemptRecord(
        run_id="widgets-1-aaaaaa",
        attempt=number,
        round=1,
        tier="small",
        model="sonnet",
        effort="low",
        from_commit="a" * 40,
        placeholder="p",
        started_at=11.0,
    )
    return replace(fresh, **changes)  # type: ignore[arg-type]


def a_round(run_id: str, number: int = 1) -> RoundInput:
    return RoundInput(
        run_id=run_id,
        number=number,
        repo="widgets",
        issue=1,
        brief="b",
        base_branch="main",
        branch="x",
        ladder=(TIER,),
        bounds=Bounds(),
        start_tier=0,
    )


def event(offset: int, index: int = 0, summary: str = "Read total.py") -> Event:
    return Event(offset=offset, index=index, kind=EventKind.TOOL, summary=summary, tool="Read")


def judgement(**changes: object) -> Judgement:
    fresh = Judgement(
        run_id="widgets-1-aaaaaa",
        what="head",
        attempt=1,
        take=1,
        commit="c" * 40,
        tree="d" * 40,
        head="c" * 40,
        base_sha="a" * 40,
        key="k1",
        verdict=Passed(summary="9 passed"),
        counts=Counts(tests=9, skipped=1, failed=0, names=frozenset({"a", "b"})),
        at=20.0,
    )
    return replace(fresh, **changes)  # type: ignore[arg-type]


def cursor(records: Records, run_id: str = "widgets-1-aaaaaa") -> int:
    found = records.run(run_id)
    assert found is not None
    return found.cursor


def moves(records: Records, deed: Callable[[], object]) -> int:
    """By how much the deed moved the run's cursor."""
    before = cursor(records)
    deed()
    return cursor(records) - before


# --- claims ---


def test_a_claim_makes_the_run_and_a_second_one_returns_it(records: Records) -> None:
    first = run()
    assert records.claim(first) == first
    assert records.claim(run("widgets-1-bbbbbb", brief="Other words.")) == first
    assert records.run("widgets-1-bbbbbb") is None
    assert records.run(first.run_id) == first


def test_of_many_claims_at_once_one_run_is_made_and_all_are_told_of_it(engine: Engine) -> None:
    many = 8
    gate = threading.Barrier(many)

    def claim(number: int) -> str:
        gate.wait(20)
        return SqlRecords(engine).claim(run(f"widgets-1-{number:06d}")).run_id

    with ThreadPoolExecutor(many) as pool:
        told = set(pool.map(claim, range(many)))
    assert len(told) == 1
    assert {one.run_id for one in SqlRecords(engine).runs()} == told


def test_other_issues_and_other_repositories_are_other_claims(records: Records) -> None:
    assert records.claim(run("a", issue=1)).run_id == "a"
    assert records.claim(run("b", issue=2)).run_id == "b"
    assert records.claim(run("c", repo="gadgets")).run_id == "c"


def test_a_repository_spelled_in_other_letters_is_the_same_one(records: Records) -> None:
    records.claim(run("a", repo="acme/Widgets", pull=7))
    assert records.claim(run("b", repo="Acme/widgets")).run_id == "a"
    assert [one.run_id for one in records.runs(repo="ACME/widgets")] == ["a"]
    found = records.run_of_pull("acme/widgets", 7)
    assert found is not None
    assert found.run_id == "a"
    records.release("a")
    assert records.claim(run("b", repo="Acme/widgets")).run_id == "b"
    assert not records.reclaim("a")


def test_a_released_claim_can_be_taken_and_then_not_be_taken_back(records: Records) -> None:
    records.claim(run("a"))
    records.release("a")
    records.release("a")
    assert records.reclaim("a")
    assert records.reclaim("a")
    records.release("a")
    assert records.claim(run("b")).run_id == "b"
    assert not records.reclaim("a")
    assert records.claim(run("c")).run_id == "b"


def test_of_many_reclaims_at_once_one_wins(engine: Engine) -> None:
    many = 6
    records = SqlRecords(engine)
    for number in range(many):
        records.claim(run(str(number)))
        records.release(str(number))
    gate = threading.Barrier(many)

    def reclaim(number: int) -> bool:
        gate.wait(20)
        return records.reclaim(str(number))

    with ThreadPoolExecutor(many) as pool:
        assert list(pool.map(reclaim, range(many))).count(True) == 1


# --- runs ---


def test_a_change_writes_the_fields_given_and_moves_the_cursor_by_one(records: Records) -> None:
    before = records.claim(run())
    records.change(before.run_id, {"phase": Phase.AWAITING_REVIEW, "pull": 7, "pull_url": "http://x/7"}, 12.5)
    expected = replace(
        before,
        phase=Phase.AWAITING_REVIEW,
        pull=7,
        pull_url="http://x/7",
        updated_at=12.5,
        harness_at=12.5,
        cursor=before.cursor + 1,
    )
    assert records.run(before.run_id) == expected
    assert records.run_of_pull("widgets", 7) == expected
    assert records.run_of_pull("widgets", 8) is None
    assert records.run_of_pull("gadgets", 7) is None


def test_changes_at_once_are_all_counted(engine: Engine) -> None:
    records = SqlRecords(engine)
    records.claim(run())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: records.change("widgets-1-aaaaaa", {"waits": n}, float(n)), range(20)))
    assert cursor(records) == 21


def test_a_touch_tells_when_the_harness_was_there_and_moves_nothing(records: Records) -> None:
    records.claim(run())
    assert moves(records, lambda: records.touch("widgets-1-aaaaaa", 99.0)) == 0
    found = records.run("widgets-1-aaaaaa")
    assert found is not None
    assert found.harness_at == 99.0
    assert found.updated_at == 10.0


def test_runs_are_listed_newest_first_by_repository_and_phase_and_bounded(records: Records) -> None:
    for number in range(5):
        records.claim(run(f"r{number}", issue=number + 1, created_at=float(number)))
    records.claim(run("other", repo="gadgets", created_at=9.0))
    records.change("r1", {"phase": Phase.MERGED}, 1.0)
    assert [one.run_id for one in records.runs(limit=3)] == ["other", "r4", "r3"]
    assert [one.run_id for one in records.runs(repo="gadgets")] == ["other"]
    assert [one.run_id for one in records.runs(phases=frozenset({Phase.MERGED}))] == ["r1"]
    assert records.runs(phases=frozenset()) == []


# --- rounds and attempts ---


def test_a_rounds_input_is_kept_as_it_was_first_given(records: Records) -> None:
    first = records.claim(run())
    given = a_round(first.run_id)
    records.save_round(given, 1.0)
    records.save_round(replace(given, brief="changed"), 2.0)
    assert records.round_input(first.run_id, 1) == given
    assert records.round_input(first.run_id, 2) is None
    assert records.round_input("nobody", 1) is None


def test_of_a_round_that_never_began_what_was_asked_for_last_counts(records: Records) -> None:
    first = run()
    records.claim(first)
    asked = a_round(first.run_id, 2)
    records.take_up(first.run_id, 2, (("r1", 5.0), ("r2", 6.0)))
    records.save_round(replace(asked, brief="A", remarks=("r1", "r2")), 1.0)
    records.save_round(replace(asked, brief="B", remarks=("r2",)), 2.0)
    found = records.round_input(first.run_id, 2)
    assert found is not None
    assert found.brief == "B"
    assert [one.remark for one in records.taken_up(first.run_id)] == ["r2"]
    records.change(first.run_id, {"round": 2}, 3.0)
    records.save_round(replace(asked, brief="C"), 4.0)
    assert records.round_input(first.run_id, 2) == found
    assert [one.remark for one in records.taken_up(first.run_id)] == ["r2"]


def test_an_end_gives_the_claim_up_in_the_same_write(records: Records) -> None:
    first = run()
    records.claim(first)
    records.change(first.run_id, {"phase": Phase.AGENT}, 1.0)
    assert records.claim(run("widgets-1-bbbbbb")).run_id == first.run_id
    records.change(first.run_id, {"phase": Phase.ESCALATED}, 2.0)
    assert records.claim(run("widgets-1-bbbbbb")).run_id == "widgets-1-bbbbbb"
    assert not records.reclaim(first.run_id)


def test_an_attempt_that_began_is_not_begun_again(records: Records) -> None:
    records.claim(run())
    assert records.begin_attempt(attempt()) == attempt()
    assert records.begin_attempt(attempt(placeholder="another", started_at=99.0)) == attempt()
    records.begin_attempt(attempt(2))
    assert [one.attempt for one in records.attempts("widgets-1-aaaaaa")] == [1, 2]
    assert records.attempt("widgets-1-aaaaaa", 3) is None


def test_events_are_kept_once_however_often_they_are_given(records: Records) -> None:
    records.claim(run())
    records.begin_attempt(attempt())
    read = (event(0, summary="one"), event(0, 1, "two"), event(40, summary="three"))

    def give(new: tuple[Event, ...], offset: int) -> None:
        records.append_events("widgets-1-aaaaaa", 1, new, offset, Transcript(offset=offset, tools=offset), 12.0)

    assert moves(records, lambda: give(read, 80)) == 1
    # The daemon died after this was written and reads the same bytes again, with one line more.
    assert moves(records, lambda: give(read, 80)) == 0
    assert moves(records, lambda: give((*read, event(80, summary="four")), 120)) == 1
    assert moves(records, lambda: give((), 120)) == 0
    assert [one.summary for one in records.events("widgets-1-aaaaaa")] == ["one", "two", "three", "four"]
    found = records.attempt("widgets-1-aaaaaa", 1)
    assert found is not None
    assert (found.offset, found.transcript) == (120, Transcript(offset=120, tools=120))
    told = records.run("widgets-1-aaaaaa")
    assert told is not None
    assert told.agent_at == 12.0


def test_only_the_last_events_are_told_oldest_first(records: Records) -> None:
    records.claim(run())
    records.begin_attempt(attempt())
    many = tuple(event(n, summary=str(n)) for n in range(30))
    records.append_events("widgets-1-aaaaaa", 1, many, 30, Transcript(offset=30), 12.0)
    seen = records.events("widgets-1-aaaaaa", limit=3)
    assert [one.summary for one in seen] == ["27", "28", "29"]
    assert [one.id for one in seen] == sorted(one.id for one in seen)
    assert records.events("nobody") == []


def test_events_of_some_kinds_are_the_last_of_those(records: Records) -> None:
    records.claim(run())
    records.begin_attempt(attempt())
    many = tuple(
        replace(event(n, summary=str(n)), kind=EventKind.TEXT if n % 10 == 0 else EventKind.TOOL) for n in range(30)
    )
    records.append_events("widgets-1-aaaaaa", 1, many, 30, Transcript(offset=30), 12.0)
    seen = records.events("widgets-1-aaaaaa", kinds={"text"}, limit=2)
    assert [one.summary for one in seen] == ["10", "20"]


def test_runs_at_work_that_are_to_be_cancelled_are_told_and_no_others(records: Records) -> None:
    for number, phase in enumerate((Phase.AGENT, Phase.QUEUED, Phase.MERGED, Phase.AGENT)):
        records.claim(run(f"r{number}", issue=number + 1))
        records.change(f"r{number}", {"phase": phase, "cancel_requested": number < 3}, 1.0)
    assert records.cancelling() == {"r0", "r1"}


def test_what_is_read_in_one_look_is_of_one_moment(records: Records) -> None:
    records.claim(run())
    with records.one_look():
        assert records.attempts("widgets-1-aaaaaa") == []
        other = threading.Thread(target=lambda: records.begin_attempt(attempt()))
        other.start()
        other.join(20)
        assert records.attempts("widgets-1-aaaaaa") == []
    assert len(records.attempts("widgets-1-aaaaaa")) == 1


def test_bytes_that_say_nothing_show_that_somebody_reads_and_wake_nobody(records: Records) -> None:
    records.claim(run())
    records.begin_attempt(attempt())
    said = (event(0),)
    records.append_events("widgets-1-aaaaaa", 1, said, 50, Transcript(offset=50), 12.0)
    assert (
        moves(records, lambda: records.append_events("widgets-1-aaaaaa", 1, (), 90, Transcript(offset=90), 20.0)) == 0
    )
    told = records.run("widgets-1-aaaaaa")
    assert told is not None
    assert (told.agent_at, told.harness_at) == (12.0, 20.0)


def test_an_offset_never_goes_back(records: Records) -> None:
    records.claim(run())
    records.begin_attempt(attempt())
    records.append_events("widgets-1-aaaaaa", 1, (event(0),), 100, Transcript(offset=100), 1.0)
    records.append_events("widgets-1-aaaaaa", 1, (), 50, Transcript(offset=50), 2.0)
    found = records.attempt("widgets-1-aaaaaa", 1)
    assert found is not None
    assert (found.offset, found.transcript) == (100, Transcript(offset=100))


def test_how_an_attempt_ended_is_remembered(records: Records) -> None:
    records.claim(run())
    records.begin_attempt(attempt())
    ends = {"ending": "finished", "detail": "Done.", "retry_at": 77.0, "at": 30.0}
    assert moves(records, lambda: records.end_attempt("widgets-1-aaaaaa", 1, **ends)) == 1  # type: ignore[arg-type]
    found = records.attempt("widgets-1-aaaaaa", 1)
    assert found is not None
    assert (found.ending, found.detail, found.retry_at, found.ended_at) == ("finished", "Done.", 77.0, 30.0)


# --- judgements and checks ---


@pytest.mark.parametrize(
    "verdict",
    [
        Passed(summary="9 passed"),
        Failed(summary="1 failed", report="E   assert 1 == 2"),
        NeedsHuman(summary="A test was changed.", findings=("tests/a.py",)),
        Inconclusive(reason="The gate could not be started."),
    ],
)
def test_a_judgement_comes_back_as_it_was_given(records: Records, verdict: Verdict) -> None:
    records.claim(run())
    given = judgement(verdict=verdict)
    assert moves(records, lambda: records.save_judgement(given)) == 1
    assert moves(records, lambda: records.save_judgement(replace(given, verdict=Passed(summary="other")))) == 0
    assert records.judgements("widgets-1-aaaaaa") == [given]


def test_a_conclusive_judgement_is_found_by_its_key_whichever_run_it_was_for(records: Records) -> None:
    records.claim(run())
    records.claim(run("b", issue=2))
    unsure = judgement(verdict=Inconclusive(reason="No answer."), at=19.0)
    records.save_judgement(unsure)
    assert records.judged("k1") is None
    sure = judgement(run_id="b")
    records.save_judgement(sure)
    assert records.judged("k1") == sure
    assert records.judged("k2") is None


def test_judgements_are_told_in_order(records: Records) -> None:
    records.claim(run())
    for at, what, number in ((3.0, "head", 2), (1.0, "base", 0), (2.0, "head", 1)):
        records.save_judgement(judgement(what=what, attempt=number, at=at))
    assert [(one.what, one.attempt) for one in records.judgements("widgets-1-aaaaaa")] == [
        ("base", 0),
        ("head", 1),
        ("head", 2),
    ]


def test_two_jobs_of_one_name_from_two_workflows_are_two_checks(records: Records) -> None:
    records.claim(run())
    old, new = (
        Check(name="test", state=state, source="github-actions", workflow=f".github/workflows/{name}.yml")
        for name, state in (("ci", CheckState.FAILED), ("nightly", CheckState.PASSED))
    )
    records.save_checks("widgets-1-aaaaaa", (new, old), 1.0)
    assert records.checks("widgets-1-aaaaaa") == (old, new)


def test_the_last_word_on_checks_replaces_the_one_before(records: Records) -> None:
    records.claim(run())
    lint = Check(name="lint", state=CheckState.PENDING, summary="")
    test = Check(name="test", state=CheckState.FAILED, summary="2 failed")
    records.save_checks("widgets-1-aaaaaa", (test, lint), 1.0)
    assert records.checks("widgets-1-aaaaaa") == (lint, test)
    assert moves(records, lambda: records.save_checks("widgets-1-aaaaaa", (lint,), 2.0)) == 1
    assert records.checks("widgets-1-aaaaaa") == (lint,)
    told = records.run("widgets-1-aaaaaa")
    assert told is not None
    assert told.checks_as_of == 2.0


def test_what_breaks_the_schema_is_a_fault_and_nothing_of_it_is_written(records: Records) -> None:
    records.claim(run())
    records.begin_attempt(attempt())
    twice = (event(0), event(0))
    with pytest.raises(RecordsFault):
        records.append_events("widgets-1-aaaaaa", 1, twice, 10, Transcript(offset=10), 1.0)
    assert records.events("widgets-1-aaaaaa") == []
    found = records.attempt("widgets-1-aaaaaa", 1)
    assert found is not None
    assert found.offset == 0
