"""Group I: what is promised twice, had for nothing, or burned by a failing model API. Real gateway, real books."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

import httpx
import sqlalchemy as sa

from runner import ladder
from runner.adapters import sql_spending
from runner.barred import not_begun
from runner.conclusion import ExitReport, UpstreamFailure, conclude
from runner.conclusion import Stopped as StoppedAgent
from runner.facts import AgentEnded, Close, Prepared
from runner.facts import Outcome as RoundOutcome
from runner.gateway.exchange import Exchange
from runner.gateway.metering import Meter
from runner.model import Ending, Tier
from runner.spending import Asking, Barrier, Reserved
from runner.transcript import Result, Transcript
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.money_world import PATIENCE_S, SSE, gateway_world, question
from tests.attack.taking_out import answering, out
from tests.fakes.a_round import INPUT
from tests.fakes.upstream import AnsweringUpstream, HeldUpstream, event

_START: Final = event({"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": 40}}})
_SAID: Final = event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "y" * 80}})
_TIERS: Final = tuple(
    Tier(name=name, model=name, effort="medium", max_turns=9, max_micro_usd=1, wall_s=9, idle_s=9)
    for name in ("sonnet", "opus")
)
_ROUND: Final = replace(INPUT, run_id="r1", ladder=_TIERS)


def _promised_twice(first: str, second: str, ground: Ground, *, other_daemon: bool = False) -> Outcome:
    with gateway_world(ground.directory(), everything=100) as world:
        there = world.daemon("elsewhere") if other_daemon else world.books
        asked = [_asking(first), _asking(second)]
        answers = [world.books.reserve(asked[0]), there.reserve(asked[1])]
    if all(isinstance(answer, Reserved) for answer in answers):
        return Through(what="both were promised the same money")
    return Stopped(by="the second has to wait for the first")


def _promised_at_once(ground: Ground) -> Outcome:
    with gateway_world(ground.directory(), everything=100) as world, ThreadPoolExecutor(8) as pool:
        desks = (world.books, world.daemon("elsewhere"))
        answers = list(pool.map(lambda n: desks[n % 2].reserve(_asking(f"r{1 + n % 3}")), range(16)))
    promised = sum(isinstance(answer, Reserved) for answer in answers)
    return Stopped(by="one of 16 got it") if promised == 1 else Through(what=f"{promised} of 16 got it")


def _forgotten_by_a_crash(ground: Ground) -> Outcome:
    with gateway_world(ground.directory(), everything=100) as world:
        world.books.reserve(_asking("r1"))
        after = world.daemon("here").reserve(_asking("r2"))
    return Through(what="its money is had again") if isinstance(after, Reserved) else Stopped(by="its money counts")


def _asking(run_id: str) -> Asking:
    return Asking(run_id=run_id, attempt=1, repo="widgets", run_bound=100, estimate=60)


def _for_nothing(chunks: tuple[bytes, ...], due: int, ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(chunks=chunks, headers=SSE, cut=True)
    with gateway_world(ground.directory(), upstream) as world:
        with contextlib.suppress(httpx.TransportError):
            world.ask(world.grant(), question(stream=True))
        world.gateway.close()
        cost = world.books.today().spent
    return Stopped(by=f"{cost} micro-dollars are billed") if cost >= due else Through(what=f"{cost} of {due} billed")


def _silence(ground: Ground) -> Outcome:
    upstream = HeldUpstream(chunks=(_START,), headers=SSE)
    with gateway_world(ground.directory(), upstream) as world, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(world.ask, world.grant(patience_s=0.0), question(stream=True))
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        failure = world.gateway.failure("r1", 1)
        upstream.go_on.set()
        asked.result(PATIENCE_S)
    known = None if failure is None else UpstreamFailure(status=failure.status, type=failure.type)
    return _led_to(conclude(Transcript(), ExitReport(code=143), StoppedAgent.IDLE, known))


def _api_error(status: int | None, kind: str, _ground: Ground) -> Outcome:
    result = Result(
        subtype="success",
        is_error=True,
        num_turns=1,
        terminal_reason="api_error",
        api_error_status=status,
        safety_stops=0,
        denials=0,
        text="API Error",
    )
    said = Transcript(lines=3, results=1, result=result)
    return _led_to(conclude(said, ExitReport(code=1), None, UpstreamFailure(status=status, type=kind)))


def _barred(barrier: Barrier, _ground: Ground) -> Outcome:
    return _led_to(not_begun(barrier, 1.0))


def _led_to(ended: AgentEnded) -> Outcome:
    now, _ = ladder.begin(_ROUND)
    now, _ = ladder.advance(now, Prepared(base_sha="b" * 40))
    _, step = ladder.advance(now, ended)
    if isinstance(step, Close) and step.outcome is RoundOutcome.WAITING:
        return Stopped(by=f"{ended.ending}: {step.reason}")
    return Through(what=f"{ended.ending} leads to {step.kind}: the attempt at this tier is used up")


def _case(defence: str, vector: str, tried: str, attempt: Callable[[Ground], Outcome]) -> Case:
    return Case(group="I", defence=defence, vector=vector, tried=tried, attempt=attempt)


_DEFENCES = (
    Defence(
        name="promised-once",
        sentence="Money that is promised to a question is promised to no other, and a crash frees none.",
        without=out(sql_spending, "_promised", answering(sa.literal(0))),
    ),
    Defence(
        name="no-answer-for-nothing",
        sentence="Who hangs up before the bill comes pays all the same.",
        without=out(Meter, "finish", answering(None)),
    ),
    Defence(
        name="silence-is-the-apis",
        sentence="An agent that waits for a silent API is not idle.",
        without=out(Exchange, "stalled", answering(False)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="trouble-burns-no-tier",
        sentence="What is the API's or the operator's makes a run wait at its tier.",
        without=out(ladder, "ENDINGS", MappingProxyType(dict.fromkeys(Ending, ladder.Reaction.COLLECT))),
    ),
)

_API: Final = (
    ("401", 401, "authentication_error"),
    ("402", 402, "billing_error"),
    ("403", 403, "permission_error"),
    ("429", 429, "rate_limit_error"),
    ("500", 500, "api_error"),
    ("529", 529, "overloaded_error"),
    ("cut-or-absent", None, ""),
)

_CASES = (
    _case("promised-once", "one-run", "ask twice before the first answer", partial(_promised_twice, "r1", "r1")),
    _case("promised-once", "two-runs", "two runs ask for the last of a day", partial(_promised_twice, "r1", "r2")),
    _case(
        "promised-once",
        "two-daemons",
        "ask two daemons of one database",
        partial(_promised_twice, "r1", "r2", other_daemon=True),
    ),
    _case("promised-once", "many-at-once", "16 questions at two daemons at once", _promised_at_once),
    _case("promised-once", "a-crash", "kill the daemon before the bill comes", _forgotten_by_a_crash),
    _case("no-answer-for-nothing", "before-the-first-event", "break off at once", partial(_for_nothing, (), 10)),
    _case(
        "no-answer-for-nothing",
        "in-mid-answer",
        "break off after 80 bytes of answer",
        partial(_for_nothing, (_START, _SAID), 60),
    ),
    _case("silence-is-the-apis", "until-the-idle-clock", "an API that takes a question and says nothing", _silence),
    *(
        _case("trouble-burns-no-tier", vector, f"the API answers {vector}", partial(_api_error, status, kind))
        for vector, status, kind in _API
    ),
    *(
        _case("trouble-burns-no-tier", barrier.value, f"the gateway refuses: {barrier}", partial(_barred, barrier))
        for barrier in (Barrier.HALTED, Barrier.REPO_DAY, Barrier.DAY)
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
