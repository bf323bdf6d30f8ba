"""One host as a process of its own: real rounds, a toy ladder, steps that wait until they are told to go on.

Commands come as JSON lines on stdin, answers and events leave as JSON lines on stdout. Run by the contract tests.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from runner.adapters.dbos_rounds import DbosRounds
from runner.errors import RunnerError
from runner.facts import (
    AgentEnded,
    CancelSeen,
    Close,
    Collect,
    Collected,
    Fact,
    Outcome,
    Prepare,
    Prepared,
    RoundClosed,
    RunAgent,
    SaveWork,
    Step,
    WorkSaved,
)
from runner.model import Bounds, Candidate, Ending, RoundInput, Tier
from runner.rounds import Interrupted, state_of

_TICK_S = 0.02
_PATIENCE_S = 60.0
_OUT = threading.Lock()
CANDIDATE = Candidate(commit="c" * 40, tree="d" * 40)


def say(**fields: Any) -> None:
    line = json.dumps(fields) + "\n"
    with _OUT:
        os.write(1, line.encode())


def begin(round_input: RoundInput) -> tuple[str, Step]:
    return f"{round_input.run_id} began", Prepare()


def advance(state: str, fact: Fact) -> tuple[str, Step]:
    match fact:
        case Prepared():
            return state, RunAgent(attempt=1, tier=0, from_commit=fact.base_sha, feedback=None)
        case AgentEnded():
            return state, Collect(attempt=1, tier=0)
        case Collected():
            return state, SaveWork(candidate=fact.candidate, attempt=1)
        case CancelSeen():
            return "cancelled", SaveWork(candidate=None, attempt=None)
        case WorkSaved():
            outcome = Outcome.CANCELLED if state == "cancelled" else Outcome.PUBLISHED
            return state, Close(outcome=outcome, reason="", tier=0)
        case _:
            raise ValueError(f"the toy ladder does not know {fact}")


@dataclass(kw_only=True)
class Hands:
    """Carries out steps of the toy ladder, held and broken as asked ("run:step")."""

    hold: frozenset[str]
    deaf: bool
    broken: frozenset[str]
    gives_up: set[str]
    follow: bool
    stopping: threading.Event
    cancelled: threading.Event = field(default_factory=threading.Event)
    released: dict[str, threading.Event] = field(default_factory=dict)
    rounds: DbosRounds | None = None

    def carry_out(self, round_input: RoundInput, step: Step) -> Fact:
        key = f"{round_input.run_id}:{step.kind}"
        model = round_input.ladder[step.tier].model if isinstance(step, RunAgent) else None
        outcome = step.outcome.value if isinstance(step, Close) else None
        say(event="begun", run=round_input.run_id, number=round_input.number, step=step.kind, model=model, how=outcome)
        if key in self.broken:
            raise ValueError(f"{key} is broken")
        if key in self.gives_up:
            self.gives_up.remove(key)
            raise Interrupted
        if key in self.hold and not self._let_go(key):
            return CancelSeen()
        fact = self._do(round_input, step)
        say(event="ended", run=round_input.run_id, number=round_input.number, step=step.kind)
        return fact

    def gate(self, key: str) -> threading.Event:
        return self.released.setdefault(key, threading.Event())

    def _let_go(self, key: str) -> bool:
        for _ in range(int(_PATIENCE_S / _TICK_S)):
            if self.gate(key).wait(_TICK_S):
                return True
            if self.stopping.is_set() and not self.deaf:
                raise Interrupted
            if self.cancelled.is_set():
                return False
        raise TimeoutError(f"nobody released {key}")

    def _do(self, round_input: RoundInput, step: Step) -> Fact:
        match step:
            case Prepare():
                return Prepared(base_sha="b" * 40)
            case RunAgent():
                return AgentEnded(ending=Ending.COMPLETED)
            case Collect():
                return Collected(candidate=CANDIDATE, files=1, diff="a line of it: \u2713")
            case SaveWork():
                return WorkSaved(commit=None)
            case Close():
                if self.follow and round_input.number == 1 and self.rounds is not None:
                    self.rounds.submit(an_input(round_input.run_id, 2, round_input.brief, "opus"), delay_s=3600.0)
                return RoundClosed()
            case _:
                raise ValueError(f"the toy ladder has no {step}")


def an_input(run: str, number: int, host: str, model: str, protocol: int = 1) -> RoundInput:
    tier = Tier(name="first", model=model, effort="high", max_turns=9, max_micro_usd=9, wall_s=9, idle_s=9)
    return RoundInput(
        run_id=run,
        number=number,
        repo="owner/name",
        issue=1,
        brief=host,
        base_branch="main",
        branch="ashigaru/1",
        ladder=(tier,),
        bounds=Bounds(),
        protocol=protocol,
    )


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the commands on stdin act on."""

    rounds: DbosRounds
    hands: Hands
    model: str
    protocol: int

    def do(self, said: dict[str, Any]) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case a command
        run, number = said.get("run", ""), said.get("number", 1)
        match said["do"]:
            case "submit":
                protocol = said.get("protocol", self.protocol)
                wanted = an_input(run, number, said["host"], self.model, protocol)
                return self.rounds.submit(wanted, delay_s=said.get("delay_s", 0.0))
            case "state":
                return state_of(self.rounds, run, number)
            case "states":
                wanted = [(one, number) for one in said["runs"]]
                return {one: state for (one, _), state in self.rounds.states(wanted).items()}
            case "hasten":
                return self.rounds.hasten(run, number)
            case "fence":
                return self.rounds.fence(run, number)
            case "revive":
                return self.rounds.revive()
            case "evict":
                return self.rounds.evict(run, number, said["host"])
            case "cancel":
                return self.hands.cancelled.set()
            case "release":
                return self.hands.gate(said["key"]).set()
            case "release_at_close":
                return threading.Thread(target=self._release_at_close, args=(said["key"],), daemon=True).start()
            case "close":
                return self.rounds.close(said["deadline_s"])
            case "quiet":
                with self.rounds._left:
                    return self.rounds._left.wait_for(lambda: self.rounds._at_work == 0, _PATIENCE_S)
            case unknown:
                raise ValueError(unknown)

    def _release_at_close(self, key: str) -> None:
        self.hands.stopping.wait(_PATIENCE_S)
        self.hands.gate(key).set()


def tell_connections(name: str, args: tuple[Any, ...]) -> None:
    if name in {"socket.connect", "socket.getaddrinfo"}:
        say(event="network", name=name, args=repr(args))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--db", "--host", "--model", "--hold", "--broken", "--gives-up"):
        parser.add_argument(name, default="")
    parser.add_argument("--protocol", type=int, default=1)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--polling-s", type=float, default=0.02)
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--heralds", action="store_true", help="say that a round is due, and begin nothing")
    told = parser.parse_args()
    sys.addaudithook(tell_connections)
    stopping = threading.Event()
    hands = Hands(
        hold=frozenset(told.hold.split(",")),
        deaf=told.deaf,
        broken=frozenset(told.broken.split(",")),
        gives_up=set(told.gives_up.split(",")),
        follow=told.follow,
        stopping=stopping,
    )
    rounds = DbosRounds(
        told.db,
        host_id=told.host,
        slots=told.slots,
        carry_out=hands.carry_out,
        begin=begin,
        advance=advance,
        on_fault=lambda faulty, detail: say(event="fault", run=faulty.run_id, number=faulty.number, detail=detail),
        stopping=stopping,
        # The toy's brief names the host that is to work on it.
        choose_host=lambda wanted: wanted.brief,
        due=(lambda one: say(event="due", run=one.run_id, number=one.number)) if told.heralds else None,
        polling_s=told.polling_s,
        protocol=told.protocol,
    )
    hands.rounds = rounds
    rounds.launch()
    say(event="launched")
    host = Host(rounds=rounds, hands=hands, model=told.model, protocol=told.protocol)
    for line in sys.stdin:
        said = json.loads(line)
        try:
            say(answer=host.do(said), to=said["id"])
        except RunnerError as exc:
            say(error=type(exc).__name__, to=said["id"])
    os._exit(0)


if __name__ == "__main__":
    main()
