"""Group I: deeds and verdicts that would have no receipt, two, or one that says something else than was done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from gates.observed import Counts
from gates.verdict import Passed
from runner import receipted
from runner.adapters.sql_receipts import ReceiptedRecords, SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.errors import ForgeDown, RunnerError
from runner.model import CheckState, Remote
from runner.receipted import Giving, ReceiptedCheckouts, ReceiptedForge
from runner.receipts import Deed, Kind, Stage, subject
from runner.records import Judgement
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.git_world import RUN as GIT_RUN
from tests.attack.git_world import git_world
from tests.attack.ground import Ground
from tests.attack.receipts_world import RUN, Kept, kept
from tests.attack.records_world import attempt_record, run_record
from tests.attack.taking_out import answering, out
from tests.contract.forge_rig import REPO, Rig, local
from tests.git_rig import git

_PUSH = Deed(kind=Kind.PUSH, key=subject("push", RUN), run_id=RUN, detail={"commit": "c1"})
_SPENT = Deed(kind=Kind.MODEL, key=subject("model", RUN, 1), run_id=RUN, detail={"micro_usd": 2_000_000})
_PASSWORD = "hunter2-hunter2"
_JUDGED = Judgement(
    run_id=RUN,
    what="head",
    attempt=1,
    take=1,
    commit="c" * 40,
    tree="d" * 40,
    head="c" * 40,
    base_sha="a" * 40,
    key="k",
    verdict=Passed(summary="fine"),
    counts=Counts(),
    at=1.0,
)


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="I", defence=defence, vector=vector, tried=tried, attempt=attempt)


def _giving(made: Kept) -> Giving:
    return Giving(receipts=made.chain(), run_of_pull=lambda _repo, _number: RUN)


# --- on the real forge ---


@dataclass(frozen=True, kw_only=True)
class _Busy:
    """The built-in forge with an open pull request, and the same as the daemon has it."""

    rig: Rig
    number: int
    pull: Any


def _busy(ground: Ground) -> _Busy:
    # Entered here and left with the ground: several cases look at one forge.
    rig = ground.stack.enter_context(local(ground.directory()))
    pull = rig.opened()
    return _Busy(rig=rig, number=pull.number, pull=pull)


def _merge(busy: _Busy, forge: ReceiptedForge) -> None:
    forge.merge(busy.rig.reviewed(busy.pull), "Fix it", "")


def _without_receipt(
    do: Callable[[_Busy, ReceiptedForge], object], was_done: Callable[[_Busy], bool], ground: Ground
) -> Outcome:
    busy = ground.world("busy-forge", lambda: _busy(ground))
    made = kept(ground)
    made.full()
    try:
        do(busy, ReceiptedForge(forge=busy.rig.forge, giving=_giving(made)))
    except RunnerError as fault:
        return Through(what=f"done, then: {fault}") if was_done(busy) else Stopped(by=str(fault))
    return Through(what="it was done, and nothing says so") if was_done(busy) else Stopped(by="it was not done")


def _pushed(ground: Ground) -> Outcome:
    world, made = git_world(ground), kept(ground)
    made.full()
    checkouts = ReceiptedCheckouts(checkouts=world.checkouts, giving=_giving(made))
    try:
        checkouts.push(GIT_RUN, world.remote, world.base, "ashigaru/mine")
    except RunnerError as fault:
        told = str(fault)
    else:
        told = "it was not done"
    if git(world.work, "branch", "--list", "ashigaru/mine"):
        return Through(what="a branch was pushed, and nothing says so")
    return Stopped(by=told)


_FORGE_DEEDS: tuple[tuple[str, str, Callable[[_Busy, ReceiptedForge], object], Callable[[_Busy], bool]], ...] = (
    (
        "comment",
        "comment while no receipt can be written",
        lambda busy, forge: forge.say(REPO, busy.number, "k", "Done."),
        lambda busy: any("Done." in one.body for one in busy.rig.others.said(busy.number)),
    ),
    (
        "check",
        "vouch for a commit while no receipt can be written",
        lambda busy, forge: forge.set_check(REPO, busy.pull.head_sha, "ashigaru/gate", CheckState.PASSED, "fine"),
        lambda busy: bool(busy.rig.forge.checks(REPO, busy.pull.head_sha)),
    ),
    (
        "merge",
        "merge while no receipt can be written",
        _merge,
        lambda busy: busy.rig.tip("main") != busy.pull.base_sha,
    ),
)


def _lost_answer(ground: Ground) -> Outcome:
    """The comment is made, and the answer that says so never comes."""
    made = kept(ground)
    with local(ground.directory()) as rig:
        pull = rig.opened()

        class Cut:
            def say(self, *arguments: Any, **named: Any) -> None:
                rig.forge.say(*arguments, **named)
                raise ForgeDown("The forge does not answer; it is asked again.")

        forge = ReceiptedForge(forge=Cut(), giving=_giving(made))  # type: ignore[arg-type] # the one method asked for
        with suppress(ForgeDown):
            forge.say(REPO, pull.number, "k", "Done.")
        there = any("Done." in one.body for one in rig.others.said(pull.number))
    told = list(made.chain().links())[-1].stage
    if there and told == "refused":
        return Through(what="the record says of a comment that stands there that it was refused")
    return Stopped(by=f"the record says {told}")


def _address(url: str, ground: Ground) -> Outcome:
    made = kept(ground)

    class Nowhere:
        def push(self, *_arguments: Any) -> None:
            """The address is only told, never used."""

    checkouts = ReceiptedCheckouts(checkouts=Nowhere(), giving=_giving(made))  # type: ignore[arg-type] # as above
    checkouts.push(RUN, Remote(url=url), "c1", "b")
    bodies = [one.body for one in made.chain().links()]
    if any(_PASSWORD in body for body in bodies):
        return Through(what="the record holds the password")
    return Stopped(by=bodies[0])


# --- verdicts and spends ---


def _kept_without_receipt(keep: Callable[[SqlRecords], object], ground: Ground) -> Outcome:
    made = kept(ground)
    records = ReceiptedRecords(made.engine, made.chain())
    records.claim(run_record())
    records.begin_attempt(attempt_record())
    made.full()
    try:
        keep(records)
    except RunnerError as fault:
        told = str(fault)
    else:
        told = "it was not kept"
    attempt = records.attempt(RUN, 1)
    if records.judgements(RUN) or (attempt is not None and attempt.ending is not None):
        return Through(what="it counts, and has no receipt")
    return Stopped(by=told)


# --- deeds that were interrupted or repeated ---


def _interrupted(ground: Ground) -> Outcome:
    made = kept(ground)
    made.chain().begin(_PUSH)
    began_again = made.chain()
    began_again.recover()
    told = [one.stage for one in began_again.links()]
    if told == ["intent", "unknown"]:
        return Stopped(by="the next start says of it that nobody knows whether it was done")
    return Through(what=f"a deed without an end is left at {told}")


def _told_twice(deed: Deed, ground: Ground) -> Outcome:
    made = kept(ground)
    for _ in range(2):
        if deed.kind is Kind.MODEL:
            made.chain().record(deed)
        else:
            made.chain().settle(deed, made.chain().begin(deed), Stage.DONE, {})
    outcomes = [one for one in made.chain().links() if one.stage == "done"]
    return Through(what=f"one {deed.kind} counts {len(outcomes)} times") if len(outcomes) > 1 else Stopped(by="once")


_DEFENCES = (
    Defence(
        name="receipts-first",
        sentence="Nothing is done with a credential before its intent is on record.",
        without=out(Giving, "give", lambda _self, _deed, do, _told: do()),
    ),
    Defence(
        name="receipts-of-verdicts",
        sentence="No verdict counts without a receipt.",
        without=out(ReceiptedRecords, "save_judgement", SqlRecords.save_judgement),
    ),
    Defence(
        name="receipts-of-spends",
        sentence="No attempt ends without a receipt of what it cost.",
        without=out(ReceiptedRecords, "end_attempt", SqlRecords.end_attempt),
    ),
    Defence(
        name="receipts-say-unknown",
        sentence="A deed whose answer was lost is on record as not known, never as refused.",
        without=out(receipted, "_stage", answering(Stage.REFUSED)),
    ),
    Defence(
        name="receipts-plain-addresses",
        sentence="An address is on record without what may be a credential in it.",
        without=out(receipted, "_where", lambda url: url),
    ),
    Defence(
        name="receipts-recovered",
        sentence="A deed during which the daemon died is on record as not known.",
        without=out(SqlReceipts, "recover", answering(0)),
    ),
    Defence(
        name="receipts-once",
        sentence="A step that is done again does not count twice.",
        without=out(SqlReceipts, "_done_before", answering(False)),  # noqa: FBT003 - what it answers
    ),
)

_CASES = (
    _case("receipts-first", "push", "push while no receipt can be written", _pushed),
    *(
        _case("receipts-first", vector, tried, partial(_without_receipt, do, was_done))
        for vector, tried, do, was_done in _FORGE_DEEDS
    ),
    _case(
        "receipts-of-verdicts",
        "full",
        "keep a verdict while no receipt can be written",
        partial(_kept_without_receipt, lambda records: records.save_judgement(_JUDGED)),
    ),
    _case(
        "receipts-of-spends",
        "full",
        "end an attempt while no receipt can be written",
        partial(
            _kept_without_receipt,
            lambda records: records.end_attempt(RUN, 1, ending="done", detail="", retry_at=None, at=12.0),
        ),
    ),
    _case("receipts-say-unknown", "answer-lost", "have the answer to a comment get lost", _lost_answer),
    *(
        _case("receipts-plain-addresses", vector, f"push to an address with {tried}", partial(_address, url))
        for vector, tried, url in (
            ("user", "a password", f"https://x:{_PASSWORD}@forge.example/w.git"),
            ("query", "a token behind it", f"https://forge.example/w.git?token={_PASSWORD}"),
            ("fragment", "a token behind a hash", f"https://forge.example/w.git#{_PASSWORD}"),
        )
    ),
    _case("receipts-recovered", "killed-in-between", "kill the daemon in the middle of a push", _interrupted),
    _case("receipts-once", "pushed-again", "have a push done again", partial(_told_twice, _PUSH)),
    _case("receipts-once", "spent-again", "have an attempt's end told again", partial(_told_twice, _SPENT)),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
