"""Group C, the way out to the model: how much, how long and for how much money a sandbox may ask."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from runner import spending
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_spending import SqlSpending
from runner.adapters.system_clock import SystemClock
from runner.gateway import exchange, model_gateway, passing, question
from runner.gateway.loop import listening_socket
from runner.gateway.metering import PriceTable
from runner.gateway.upstream import Anthropic
from runner.spending import Asking, DayBudgets, Reserved
from tests.attack.case import Chapter, Defence, Outcome, Stopped, Through
from tests.attack.gateway_world import ASKED, BUDGET, KEY, gateway_case, house, passed_on, passing_with, refused
from tests.attack.ground import Ground
from tests.attack.records_world import attempt_record, database, run_record
from tests.attack.taking_out import answering, out, out_everywhere, replaced
from tests.fakes.upstream import AnsweringUpstream, SilentUpstream, whole

_MIB = 1024 * 1024


def _large_request(ground: Ground) -> Outcome:
    return refused(json.dumps(ASKED | {"system": "x" * (33 * _MIB)}).encode(), {}, ground)


def _endless_answer(ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(chunks=(b"x" * _MIB,) * 66)
    with house(ground, upstream) as one:
        try:
            answer = one.ask(ASKED)
        except httpx.HTTPError as fault:
            return Stopped(by=f"the answer is cut after 64 MiB ({type(fault).__name__})")
    return Through(what=f"{len(answer.content)} bytes came through")


def _silent(ground: Ground) -> Outcome:
    with house(ground, SilentUpstream(), idle_s=0.3) as one:
        answer = one.ask(ASKED)
    return Stopped(by=f"{answer.status_code} {answer.text}")


def _spent(budgets: DayBudgets, whose: tuple[str, str] | None, ground: Ground) -> Outcome:
    """The real books. whose: the run and repository that has spent it all; None: spending is halted."""
    engine = database(ground)
    for issue, run_id in enumerate(("r", "another"), 1):
        SqlRecords(engine).claim(run_record(run_id, issue=issue))
        SqlRecords(engine).begin_attempt(attempt_record(run_id))
    books = SqlSpending(engine, SystemClock(), host="h1", budgets=budgets)
    if whose is None:
        books.halt("enough")
    else:
        before = Asking(run_id=whose[0], attempt=1, repo=whose[1], run_bound=BUDGET, estimate=BUDGET)
        reserved = books.reserve(before)
        if not isinstance(reserved, Reserved):
            raise AssertionError(f"the money was gone before: {reserved}")
        books.settle(reserved.id, BUDGET)
    upstream = AnsweringUpstream(chunks=(whole({"input_tokens": 4, "output_tokens": 2}),))
    with house(ground, upstream, books=books) as one:
        return passed_on(upstream.asked, one.ask(ASKED))


def _unknown_price(ground: Ground) -> Outcome:
    answer = whole({"input_tokens": 4, "output_tokens": 2}, "nobodys-model")
    with house(ground, AnsweringUpstream(chunks=(answer,))) as one:
        one.ask(ASKED)
        one.gateway.close()
        spent = one.books.today().spent
    return Stopped(by=f"it is counted at the dearest: {spent}") if spent else Through(what="it cost nothing")


def _persistent(ground: Ground) -> Outcome:
    upstream = AnsweringUpstream()
    with house(ground, upstream) as one:
        for _ in range(200):
            one.ask(b"", shown={"x-api-key": "guess"})
        return passed_on(upstream.asked, one.ask(ASKED))


def _cheap_strangers() -> Any:
    real = PriceTable.cost

    def cost(self: PriceTable, model: str, usage: Any) -> int:
        return real(self, model, usage) if model.startswith("claude-") else 0

    return replaced((PriceTable, "cost", cost))


def _mode(ground: Ground) -> Outcome:
    with house(ground, AnsweringUpstream()) as one:
        mode = stat.S_IMODE(one.grant.socket.stat().st_mode)
    return Through(what=f"its mode is {mode:o}") if mode & 0o077 else Stopped(by=f"its mode is {mode:o}")


def _open_to_all(path: Path) -> Any:
    made = listening_socket(path)
    path.chmod(0o777)
    return made


@dataclass(kw_only=True)
class _Far:
    """A web server on loopback that redirects, or remembers what was shown to it."""

    location: str | None = None
    shown: list[str] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        far = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                far.shown.append(str(self.headers))
                self.send_response(200 if far.location is None else 307)
                if far.location is not None:
                    self.send_header("location", far.location)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its own name for it
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join(5)


def _redirected(ground: Ground) -> Outcome:
    thief = _Far()
    with (
        thief.serving() as theirs,
        _Far(location=f"{theirs}/v1/messages").serving() as ours,
        house(ground, Anthropic(ours)) as one,
    ):
        one.ask(ASKED)
    if any(KEY in shown for shown in thief.shown):
        return Through(what="the real key was shown to another host")
    return Stopped(by="a redirect of the model API's is not followed")


def _follow() -> Any:
    def made(self: Anthropic, base_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, follow_redirects=True)

    return replaced((Anthropic, "__init__", made))


def _unbounded(*, halted: bool) -> Any:
    """Books that look at nothing, or at all but the halt."""
    real = spending.weigh

    def weigh(_halt: Any, accounts: Any, estimate: int) -> Any:
        return real(None, accounts, estimate) if halted else None

    return out_everywhere(real, weigh)()


_DEFENCES = (
    Defence(
        name="request-size",
        sentence="A request holds 32 MiB at most.",
        without=out(exchange, "_MAX_REQUEST", 10**9),
    ),
    Defence(
        name="answer-size",
        sentence="An answer is cut after 64 MiB.",
        without=out(passing, "_MAX_ANSWER", 10**12),
    ),
    Defence(
        name="answer-idle",
        sentence="An answer that stalls is let go of.",
        without=passing_with(idle_s=3600.0),
    ),
    Defence(
        name="budgets",
        sentence="Where the money of the run, the repository or the day is used up nothing more is asked.",
        without=partial(_unbounded, halted=False),
    ),
    Defence(
        name="halt",
        sentence="Where spending is halted nothing is asked.",
        without=partial(_unbounded, halted=True),
    ),
    Defence(
        name="tier-model",
        sentence="An attempt asks its tier's model, at its tier's effort, at the usual speed.",
        without=out(question, "_dearer", answering(None)),
    ),
    Defence(
        name="bounded-refusals",
        sentence="Who was refused too often is answered nothing any more.",
        without=out(exchange, "_MAX_REFUSALS", 10**9),
    ),
    Defence(
        name="no-free-model",
        sentence="A model without a price is counted at the dearest.",
        without=_cheap_strangers,
    ),
    Defence(
        name="socket-mode",
        sentence="Only the daemon's account may connect to a gateway's socket.",
        without=out(model_gateway, "listening_socket", _open_to_all),
    ),
    Defence(
        name="no-redirect-of-the-model",
        sentence="The key is shown to the one host that it was set for.",
        without=_follow,
    ),
)

_CASES = (
    gateway_case("request-size", "33-mib", "ask with 33 MiB", _large_request),
    gateway_case("answer-size", "66-mib", "answer with 66 MiB", _endless_answer),
    gateway_case("answer-idle", "silent", "never answer", _silent, deadline_s=4.0),
    *(
        gateway_case("budgets", vector, f"ask when {of}'s money is gone", partial(_spent, budgets, whose))
        for vector, of, budgets, whose in (
            ("run", "the run", DayBudgets(), ("r", "widgets")),
            ("repository", "the repository", DayBudgets(repo_micro_usd=BUDGET), ("another", "Widgets")),
            ("day", "the day", DayBudgets(all_micro_usd=BUDGET), ("another", "gadgets")),
        )
    ),
    gateway_case("halt", "halted", "ask while spending is halted", partial(_spent, DayBudgets(), None)),
    *(
        gateway_case("tier-model", vector, f"ask for {vector}", partial(refused, ASKED | told, {}))
        for vector, told in (
            ("a-dearer-model", {"model": "claude-opus-5-5"}),
            ("a-model-of-no-name", {"model": "nobodys"}),
            ("a-model-of-two-names", {"model": "claude-sonnet-opus"}),
            ("more-effort", {"output_config": {"effort": "max"}}),
            ("more-speed", {"speed": "fast"}),
        )
    ),
    gateway_case("bounded-refusals", "guessing", "guess the placeholder two hundred times", _persistent),
    gateway_case("no-free-model", "unknown", "ask a model that has no price", _unknown_price),
    gateway_case("socket-mode", "another-account", "connect as another account of the host", _mode),
    gateway_case("no-redirect-of-the-model", "other-host", "redirect the gateway to another host", _redirected),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
