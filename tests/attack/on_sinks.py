"""Group B: every place where a secret could come out again, each on real records, and on a real forge where it is told.

An agent or a gate that has read the run's canary, or the daemon's token, tells it; was it kept or told anywhere?
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from gates.observed import Counts
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict
from runner import gate_run
from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.agent_reading import AttemptReader, EventReader
from runner.errors import Leaked
from runner.facts import Collected, Publish
from runner.follower import Follower
from runner.gate_run import GateRunner, Question
from runner.guard import Guard
from runner.layout import Layout
from runner.precedence import Precedence
from runner.transcript import Result, Transcript
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.publishing_world import CANARY, RUN, TOKEN, PublishingWorld, guarding, publishing_world
from tests.attack.records_world import attempt_record, database, run_record
from tests.attack.taking_out import answering, out
from tests.contract.forge_rig import REPO
from tests.git_rig import git

_NOT_HERE: Final[Any] = None  # a part that is not asked for anything
_BASE64 = base64.b64encode(f"k={CANARY}".encode()).decode().rstrip("=")
_HEX = CANARY.encode().hex()
_URL = "".join(f"%{byte:02X}" for byte in CANARY.encode())
_FORMS = {"plain": CANARY, "base64": _BASE64, "hexadecimal": _HEX, "percent": _URL, "token": TOKEN}


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="B", defence=defence, vector=vector, tried=tried, attempt=attempt)


# --- what leaves for a forge ---


def _left(
    tell: Callable[[PublishingWorld], object], told: str, ground: Ground, *, branch: str = f"ashigaru/{RUN}"
) -> Outcome:
    """Have it told, then look wherever a visitor of the forge could read it."""
    with publishing_world(ground, branch) as world:
        said = "it was not told"
        try:
            tell(world)
        except Leaked as fault:
            said = str(fault)
        found = [place for place, text in _on_the_forge(world).items() if told in text]
    return Through(what=f"it stands in {', '.join(found)}") if found else Stopped(by=said)


def _on_the_forge(world: PublishingWorld) -> dict[str, str]:
    bare = world.rig.work.parent / "forge" / f"{REPO}.git"
    pull = world.rig.forge.pull(REPO, 1)
    return {
        "a branch's name": git(bare, "for-each-ref"),
        "a commit": git(bare, "log", "--all", "-p"),
        "a pull request": "" if pull is None else f"{pull.title}\n{pull.body}",
        "a check": "" if pull is None else repr(world.rig.forge.checks(REPO, pull.head_sha)),
        "a comment": "" if pull is None else "\n".join(one.body for one in world.rig.others.said(1)),
    }


def _publishes(verdict: Verdict, world: PublishingWorld) -> None:
    world.published(world.candidate("good\n"), verdict)


def _titled(told: str, world: PublishingWorld) -> None:
    step = Publish(candidate=world.candidate("good\n"), verdict=Passed(summary="fine"), tier=0, base_sha=world.base)
    world.publisher.publish(world.round_input, replace(world.run, brief=f"Mend {told}"), step)


def _writes(name: str, content: str, world: PublishingWorld) -> None:
    (world.tree / name).write_text(content, encoding="utf-8")
    _publishes_what_is_there(world)


def _links(target: str, world: PublishingWorld) -> None:
    (world.tree / "link").symlink_to(target)
    _publishes_what_is_there(world)


def _publishes_what_is_there(world: PublishingWorld) -> None:
    made = world.collected()
    if isinstance(made, Collected):
        world.published(made.candidate)


def _answers(told: str, world: PublishingWorld) -> None:
    number = world.under_review()
    world.rig.others.comment(number, "Please mend it.")
    (remark,) = world.rig.forge.remarks(REPO, number)
    world.records.take_up(RUN, 1, ((remark.id, 1.0),))
    last = Result(
        subtype="success",
        is_error=False,
        num_turns=1,
        terminal_reason=None,
        api_error_status=None,
        safety_stops=0,
        denials=0,
        text=f"REMARK 1: not done because {told}",
    )
    world.records.append_events(RUN, 1, (), 1, Transcript(offset=1, results=1, result=last), 2.0)
    follower = Follower(
        records=world.records,
        forge=world.rig.forge,
        checkouts=world.checkouts,
        clock=SystemClock(),
        ages=_NOT_HERE,
        policy=_NOT_HERE,
        alone=_NOT_HERE,
        landed=_NOT_HERE,
        submit=_NOT_HERE,
        guard=world.guard,
    )
    follower._answer(world.run, number)


# --- what is kept here, and told by status and logs ---


@dataclass(frozen=True, kw_only=True)
class _House:
    """A run's records, and what listens to its agent and its gates."""

    records: SqlRecords
    guard: Guard
    layout: Layout

    def kept(self) -> str:
        """Whatever status, logs and notices are made of; the events as one text."""
        events = "".join(one.summary for one in self.records.events(RUN, limit=200))
        others = (self.records.attempts(RUN), self.records.judgements(RUN), self.records.notices(RUN))
        return f"{events} {others!r} {self.records.run(RUN)!r}"


def _heard(tell: Callable[[_House], object], told: str, ground: Ground) -> Outcome:
    records = SqlRecords(database(ground))
    records.claim(run_record())
    records.begin_attempt(attempt_record(placeholder="placeholder5Hd8Js2Fg7Ka4Mz9Qe"))
    house = _House(records=records, guard=guarding(records), layout=Layout(state_dir=ground.directory()))
    said = "it was not kept"
    try:
        tell(house)
    except Leaked as fault:
        said = str(fault)
    return Through(what="it is kept, and told to whoever asks") if told in house.kept() else Stopped(by=said)


def _says(*looks: Sequence[dict[str, Any]]) -> Callable[[_House], None]:
    """An agent that prints these events; the daemon looks after each group of them."""

    def tell(house: _House) -> None:
        dirs = house.layout.attempt(RUN, 1)
        dirs.out.mkdir(parents=True)
        reader = EventReader(
            records=house.records, clock=SystemClock(), guard=house.guard, precedence=Precedence(SystemClock())
        ).of(RUN, 1, dirs)
        transcript = Transcript()
        for events in looks:
            with (dirs.out / "events.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(event) + "\n" for event in events)
            _, transcript = reader.read(transcript, final=False)

    return tell


def _text(said: str) -> dict[str, Any]:
    block = {"type": "text", "text": said}
    return {"type": "assistant", "message": {"model": "claude-x", "content": [block]}}


def _tool(path: str) -> dict[str, Any]:
    block = {"type": "tool_use", "id": "t", "name": "Write", "input": {"file_path": path}}
    return {"type": "assistant", "message": {"model": "claude-x", "content": [block]}}


def _result(said: str) -> dict[str, Any]:
    return {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": said}


def _judged(verdict: Verdict, house: _House) -> None:
    gates = GateRunner(
        containers=_NOT_HERE,
        checkouts=_NOT_HERE,
        records=house.records,
        clock=SystemClock(),
        recipes=_NOT_HERE,
        sandboxes=_NOT_HERE,
        set_up=_NOT_HERE,
        takes=_NOT_HERE,
        judging=_NOT_HERE,
        guard=house.guard,
    )
    asked = Question(
        run_id=RUN,
        what="head",
        attempt=1,
        take=1,
        commit="c" * 40,
        tree="d" * 40,
        head="c" * 40,
        base_sha="a" * 40,
        plan=_NOT_HERE,
    )
    gates._remember(asked, "k", verdict, Counts(), "sha256:i")


_DEFENCES = (
    Defence(
        name="leaving-is-searched",
        sentence="All that goes to a forge is searched for secrets first, whatever it is.",
        without=out(Guard, "leaving", answering(None)),
    ),
    Defence(
        name="agents-are-searched",
        sentence="What an agent says is searched for secrets before it is kept.",
        without=out(Guard, "heard", answering(None)),
    ),
    Defence(
        name="agents-are-remembered",
        sentence="What an agent says is searched together with what it said at the looks before.",
        without=out(AttemptReader, "_earlier", answering(deque(maxlen=0))),
    ),
    Defence(
        name="gates-are-searched",
        sentence="What a gate or a set-up printed is searched for secrets before a person or an agent is told.",
        without=out(gate_run, "_words", answering(())),
    ),
)

_LEFT: tuple[tuple[str, str, Callable[[PublishingWorld], object], str], ...] = (
    ("title", "the title of a pull request", partial(_titled, _BASE64), _BASE64),
    ("finding", "what a gate found", partial(_publishes, NeedsHuman(summary="x", findings=(_URL,))), _URL),
    ("check", "the words of a check", partial(_publishes, Passed(summary=_HEX)), _HEX),
    ("file", "a file", partial(_writes, "c", f"{CANARY}\n"), CANARY),
    ("file-name", "the name of a file", partial(_writes, _HEX, "x\n"), _HEX),
    ("symlink", "where a link leads", partial(_links, CANARY), CANARY),
    ("answer", "the answer to a reviewer", partial(_answers, _BASE64), _BASE64),
)
_VERDICTS: tuple[tuple[str, str, Verdict, str], ...] = (
    ("report", "the report of a failure", Failed(summary="red", report=f"E {CANARY}"), CANARY),
    ("report-base64", "a failure's report, in base64", Failed(summary="red", report=f"E {_BASE64}"), _BASE64),
    ("summary", "the line of a failure", Failed(summary=_HEX, report="red"), _HEX),
    ("finding", "a finding", NeedsHuman(summary="x", findings=("one", _URL)), _URL),
    ("set-up", "the last words of a set-up", Inconclusive(reason=f"it said {CANARY}"), CANARY),
)
_PIECES = [CANARY[at : at + 7] for at in range(0, len(CANARY), 7)]

_CASES = (
    *(
        _case("leaving-is-searched", vector, f"tell it in {where}", partial(_left, tell, told))
        for vector, where, tell, told in _LEFT
    ),
    _case(
        "leaving-is-searched",
        "branch",
        "tell it in the name of a branch",
        partial(_left, partial(_publishes, Passed(summary="fine")), CANARY, branch=f"ashigaru/{CANARY}"),
    ),
    *(
        _case("agents-are-searched", vector, f"say it ({vector})", partial(_heard, _says([_text(told)]), told))
        for vector, told in _FORMS.items()
    ),
    _case(
        "agents-are-searched",
        "letter-by-letter",
        "say it a letter at a time",
        partial(_heard, _says([_text(letter) for letter in CANARY]), CANARY),
    ),
    _case(
        "agents-are-searched",
        "tool",
        "name a file by it",
        partial(_heard, _says([_tool(f"/workspace/{CANARY}")]), CANARY),
    ),
    _case("agents-are-searched", "result", "end by it", partial(_heard, _says([_result(f"It is {_HEX}")]), _HEX)),
    _case(
        "agents-are-remembered",
        "in-pieces",
        "say it in pieces, each when the one before has been read",
        partial(_heard, _says(*([_text(piece)] for piece in _PIECES)), CANARY),
    ),
    *(
        _case("gates-are-searched", vector, f"print it in {where}", partial(_heard, partial(_judged, verdict), told))
        for vector, where, verdict, told in _VERDICTS
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
