"""Groups B, E and G: what is said of the work, by whom, and what it may decide. Pure parts, given forged words."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gates import evidence, judge
from gates.judge import Counts, Observation
from gates.plan import Gate, GatePlan
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner import ci, conclusion, promotion, transcript
from runner.ci import CiPolicy, CiState, weigh
from runner.conclusion import ExitReport, conclude
from runner.model import Check, CheckState, Ending, Phase, Pull, PullState, RequiredCheck, ReviewedHead
from runner.promotion import Ready
from runner.records import Judgement, RunRecord
from runner.transcript import Transcript, read_events
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, replaced


def _case(group: str, defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group=group, defence=defence, vector=vector, tried=tried, attempt=attempt)


# --- an agent's word on its own end ----------------------------------------------------------------------------

_GOOD: Mapping[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 3,
    "terminal_reason": "completed",
    "result": "All done.",
}
_BAD = {**_GOOD, "is_error": True, "subtype": "error_during_execution", "terminal_reason": "api_error"}


def _concluded(lines: Sequence[Mapping[str, Any]], report: ExitReport, _ground: Ground) -> Outcome:
    stream = b"".join(json.dumps(dict(line)).encode() + b"\n" for line in lines)
    ended = conclude(read_events(Transcript(), stream, final=True)[0], report)
    if ended.ending is Ending.COMPLETED:
        return Through(what="it is taken for finished work")
    return Stopped(by=f"{ended.ending}: {ended.detail}")


def _first_result_alone() -> Any:
    real = transcript._fold_result

    def fold(seen: Transcript, said: Any) -> Transcript:
        return replace(real(seen, said), results=1)

    return replaced((transcript, "_fold_result", fold))


_LEFT = ExitReport(code=0)
_FORGED = (
    ("forged-then-real", (_GOOD, _BAD), _LEFT),
    ("forged-twice", (_GOOD, _GOOD), _LEFT),
)
_UNEARNED = (
    ("error-flag-missing", ({**_GOOD, "is_error": None},), _LEFT),
    ("error-flag-as-text", ({**_GOOD, "is_error": "false"},), _LEFT),
    ("no-turn", ({**_GOOD, "num_turns": 0},), _LEFT),
    ("not-completed", ({**_GOOD, "terminal_reason": "max_turns"},), _LEFT),
    ("exit-status-1", (_GOOD,), ExitReport(code=1)),
    ("killed", (_GOOD,), ExitReport(signal=9)),
)


# --- a gate's word on the tree ---------------------------------------------------------------------------------

_TEST = Gate(name="test", run="python3 -m pytest -q", junit="junit.xml", timeout_s=60)
_NPM = Gate(name="npm", run="npm test", junit=None, timeout_s=60, printed=True)


def _junit(*cases: str) -> bytes:
    return f"<testsuite tests='99' failures='0'>{''.join(cases)}</testsuite>".encode()


_FINE = '<testcase classname="m" name="a"/><testcase classname="m" name="b"/>'


def _judged(gate: Gate, report: bytes | None, printed: bytes, base: Counts | None, _ground: Ground) -> Outcome:
    seen = Observation(gate=gate, exit_code=0, timed_out=False, oom=False, started=True, output=printed, junit=report)
    verdict = judge.judge(GatePlan(image=None, setup=None, gates=(gate,), environment=()), [seen], base)
    if isinstance(verdict, Passed):
        return Through(what=f"it passed: {verdict.summary}")
    match verdict:
        case Failed(summary=told) | Inconclusive(reason=told) | Unjudged(summary=told):
            return Stopped(by=told)
        case NeedsHuman(findings=findings):
            return Stopped(by=f"a person has to look: {findings[0]}")


_LIES = (
    ("no-report", _TEST, None, b""),
    ("empty-report", _TEST, b"", b""),
    ("no-test", _TEST, _junit(), b""),
    ("every-test-skipped", _TEST, _junit('<testcase name="a"><skipped/></testcase>'), b""),
    ("red-report", _TEST, _junit('<testcase name="a"><failure message="x"/></testcase>'), b""),
    ("green-after-red", _TEST, _junit('<testcase name="a"><failure/><skipped/></testcase>'), b""),
    ("broken-off", _TEST, b"<testsuite><testcase name='a'/>", b""),
    ("not-a-report", _TEST, b"<html><testcase name='a'/></html>", b""),
)
_BASE = Counts(tests=3, names=frozenset({"m::a", "m::b", "m::c"}))
_WEAKENED = (
    ("test-deleted", _junit(_FINE)),
    ("test-renamed", _junit(_FINE, '<testcase classname="m" name="easy"/>')),
    ("test-skipped", _junit(_FINE, '<testcase classname="m" name="c"><skipped/></testcase>')),
)
_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<testsuite><testcase name="a"><system-out>&b;</system-out></testcase></testsuite>'
)
_OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE t SYSTEM "file:///etc/passwd"><testsuite><testcase name="a"/></testsuite>'


def _trusting_parser(*, target: Any, forbid_dtd: bool) -> ET.XMLParser:  # noqa: ARG001 - the name it is given
    return ET.XMLParser(target=target)  # noqa: S314 - the careless parser is what is shown to matter


# --- the forge's word on a commit ------------------------------------------------------------------------------

_CI = CiPolicy(trusted=("github-actions",), workflows=(".github/workflows/ci.yml",), grace_s=90.0)
_WORKFLOW = ".github/workflows/ci.yml"
_REQUIRED = (RequiredCheck(name="build"),)


def _check(
    name: str = "build",
    state: CheckState = CheckState.PASSED,
    source: str = "github-actions",
    workflow: str = _WORKFLOW,
) -> Check:
    return Check(name=name, state=state, source=source, workflow=workflow)


def _vouched(checks: tuple[Check, ...], _ground: Ground) -> Outcome:
    told = weigh(checks, _REQUIRED, _CI, since=0.0, now=1000.0)
    if told.state is CiState.GREEN:
        return Through(what="the commit counts as green")
    return Stopped(by=f"{told.state}: {told.summary}")


# --- promotion -------------------------------------------------------------------------------------------------

_BASE_SHA, _MOVED, _HEAD, _OTHER, _TREE = (letter * 40 for letter in "abcde")
_RUN = RunRecord(
    run_id="w-1-a",
    repo="w",
    issue=1,
    brief="b",
    model=None,
    phase=Phase.AWAITING_REVIEW,
    base_branch="main",
    branch="ashigaru/1-a",
    created_at=0.0,
    updated_at=0.0,
    start_tier=0,
    base_sha=_BASE_SHA,
    head_sha=_HEAD,
    head_tree=_TREE,
    pull=1,
)
_PULL = Pull(
    repo="w",
    number=1,
    url="u",
    title="t",
    body="b",
    state=PullState.OPEN,
    draft=False,
    head_branch="ashigaru/1-a",
    head_sha=_HEAD,
    base_branch="main",
    base_sha=_BASE_SHA,
    mergeable=True,
)
_JUDGED = Judgement(
    run_id="w-1-a",
    what="head",
    attempt=1,
    take=1,
    commit=_HEAD,
    tree=_TREE,
    head=_HEAD,
    base_sha=_BASE_SHA,
    key="k",
    verdict=Passed(summary="fine"),
    counts=Counts(),
    at=0.0,
)


def _promoted(
    run: RunRecord,
    pull: Pull,
    pinned: str | None,
    checks: tuple[Check, ...],
    judgements: tuple[Judgement, ...],
    _ground: Ground,
) -> Outcome:
    told = weigh(checks, (), _CI, since=0.0, now=1000.0)
    said = promotion.review(run=run, pull=pull, pinned=pinned, ci=told, judgements=judgements)
    if isinstance(said, Ready):
        return Through(what="it would be merged")
    return Stopped(by=getattr(said, "reason", "the base moved: the merged tree is judged first"))


def _promotion(
    defence: str,
    vector: str,
    tried: str,
    *,
    run: RunRecord = _RUN,
    pull: Pull = _PULL,
    pinned: str | None = None,
    checks: tuple[Check, ...] = (),
    judgements: tuple[Judgement, ...] = (_JUDGED,),
) -> Case:
    return _case("G", defence, vector, tried, partial(_promoted, run, pull, pinned, checks, judgements))


def _unweighed() -> Any:
    """Nothing but the obstacles is looked at: whatever is there is merged."""

    def obliging(*, run: RunRecord, pull: Pull, pinned: str | None, ci: Any, **_others: Any) -> Any:
        why = promotion._obstacle(run, pull, pinned, ci)
        head = ReviewedHead(repo=pull.repo, pull=1, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=_TREE)
        return Ready(head=head) if why is None else promotion.NotYet(reason=why)

    return replaced((promotion, "review", obliging))


def _verdict(verdict: Verdict) -> tuple[Judgement, ...]:
    return (replace(_JUDGED, verdict=verdict),)


_MERGED = replace(_JUDGED, what="merged", base_sha=_MOVED, commit=_OTHER)
_ON_MOVED = replace(_PULL, base_sha=_MOVED)

_DEFENCES = (
    Defence(
        name="one-result",
        sentence="An agent that says its result more than once has not finished.",
        without=_first_result_alone,
    ),
    Defence(
        name="earned-success",
        sentence="Only a whole, honest result of a process that left by itself is success.",
        without=out(conclusion, "_succeeded", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="evidence",
        sentence="An exit status of 0 is a claim that the report has to bear out.",
        without=out(judge, "_green_without_evidence", answering(None)),
    ),
    Defence(
        name="tests-held-against-base",
        sentence="Tests that ran on the base and do not run now are for a person.",
        without=out(judge, "_held_against", answering(())),
    ),
    Defence(
        name="defused-reports",
        sentence="A report that declares a document type is not read.",
        without=out(evidence, "DefusedXMLParser", _trusting_parser),
    ),
    Defence(
        name="report-size",
        sentence="A report is of bounded size.",
        without=out(evidence, "MAX_BYTES", 10**9),
    ),
    Defence(
        name="report-length",
        sentence="A report tells of a bounded number of tests.",
        without=out(evidence, "MAX_CASES", 10**9),
    ),
    Defence(
        name="trusted-checks",
        sentence="Only checks of sources and workflows that the operator trusts count.",
        without=out(ci, "_fits", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="promotion-obstacles",
        sentence="Only the head that was seen, open, green and mergeable, is promoted.",
        without=out(promotion, "_obstacle", answering(None)),
    ),
    Defence(
        name="promotion-judged",
        sentence="Only a head, on a base, that the gates passed is promoted.",
        without=_unweighed,
    ),
)

_CASES = (
    *(
        _case("B", "one-result", vector, "print a result line of its own", partial(_concluded, lines, report))
        for vector, lines, report in _FORGED
    ),
    *(
        _case("B", "earned-success", vector, f"end with {vector}", partial(_concluded, lines, report))
        for vector, lines, report in _UNEARNED
    ),
    *(
        _case("E", "evidence", vector, f"exit 0 with {vector}", partial(_judged, gate, report, printed, None))
        for vector, gate, report, printed in _LIES
    ),
    *(
        _case("E", "evidence", vector, f"exit 0 and print {printed!a}", partial(_judged, _NPM, None, printed, None))
        for vector, printed in (
            ("printed-failure", b"# tests 2\n# pass 1\n# fail 1\n# skipped 0\n"),
            ("printed-nothing-ran", b"# tests 0\n# pass 0\n# fail 0\n# skipped 0\n"),
        )
    ),
    *(
        _case("B", "tests-held-against-base", vector, vector, partial(_judged, _TEST, report, b"", _BASE))
        for vector, report in _WEAKENED
    ),
    *(
        _case(
            "E", "defused-reports", vector, f"leave a report with {vector}", partial(_judged, _TEST, report, b"", None)
        )
        for vector, report in (("entities", _BOMB), ("document-type", _OUTSIDE))
    ),
    _case(
        "E",
        "report-size",
        "nine-megabytes",
        "leave a report of 9 MiB",
        partial(_judged, _TEST, _junit(_FINE, f"<!--{'x' * 9 * 1024 * 1024}-->"), b"", None),
    ),
    _case(
        "E",
        "report-length",
        "too-many-tests",
        "leave a report of 20,001 tests",
        partial(_judged, _TEST, _junit('<testcase name="a"/>' * 20_001), b"", None),
    ),
    *(
        _case("G", "trusted-checks", vector, f"report build as {vector}", partial(_vouched, checks))
        for vector, checks in (
            ("another-app", (_check(source="evil-app"),)),
            ("commit-status-of-a-person", (_check(source="status:mallory", workflow=""),)),
            ("another-workflow", (_check(workflow=".github/workflows/mine.yml"),)),
        )
    ),
    _promotion("promotion-obstacles", "head-moved-since", "promote what was not seen", pinned=_OTHER),
    _promotion("promotion-obstacles", "closed", "promote a closed one", pull=replace(_PULL, state=PullState.CLOSED)),
    _promotion("promotion-obstacles", "conflict", "promote a conflict", pull=replace(_PULL, mergeable=False)),
    _promotion("promotion-obstacles", "at-work", "promote while work goes on", run=replace(_RUN, phase=Phase.GATE)),
    *(
        _promotion("promotion-obstacles", f"ci-{state}", f"promote while CI is {state}", checks=(_check(state=state),))
        for state in (CheckState.FAILED, CheckState.PENDING, CheckState.STALLED)
    ),
    _promotion("promotion-judged", "never-judged", "promote what no gate saw", judgements=()),
    _promotion(
        "promotion-judged",
        "another-tree",
        "promote another tree than was judged",
        judgements=(replace(_JUDGED, tree=_OTHER),),
    ),
    _promotion("promotion-judged", "base-moved", "promote onto a base that moved", pull=_ON_MOVED),
    _promotion(
        "promotion-judged",
        "merged-tree-red",
        "promote what is red once merged",
        pull=_ON_MOVED,
        judgements=(replace(_MERGED, verdict=Failed(summary="red", report="")),),
    ),
    _promotion(
        "promotion-judged",
        "judged-for-another-head",
        "promote by the judgement of an earlier head",
        pull=_ON_MOVED,
        judgements=(replace(_MERGED, head=_OTHER),),
    ),
    _promotion(
        "promotion-judged", "unjudged", "promote what is left to CI without CI", judgements=_verdict(Unjudged())
    ),
    _promotion(
        "promotion-judged",
        "inconclusive",
        "promote what could not be judged",
        judgements=_verdict(Inconclusive(reason="no")),
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
