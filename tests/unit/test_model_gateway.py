"""The model gateway, driven over its Unix sockets."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.errors import BadIntent, SandboxFault
from runner.gateway import exchange, passing
from runner.gateway.access import GatewayAccess, gateways
from runner.gateway.cassette import parse_cassette
from runner.gateway.egress import Egress
from runner.gateway.exchange import BUDGET_WORDS, Credential, Grant
from runner.gateway.loop import GatewayLoop, listening_socket
from runner.gateway.metering import Price, PriceTable
from runner.gateway.model_gateway import ModelGateway
from runner.gateway.passing import Failure
from runner.gateway.upstream import Anthropic, Replay, Upstream
from runner.model_access import Allowance
from runner.spending import Admission, Asking, Barrier, Busy, DayBudgets
from tests.fakes.spending import FailingSpending, MemorySpending
from tests.fakes.upstream import (
    PATIENCE_S,
    AbsentUpstream,
    AnsweringUpstream,
    HeldUpstream,
    SilentUpstream,
    event,
    whole,
)

PRICES = PriceTable(prices={"claude-": Price(input=1_000_000, output=1_000_000, cache_read=0, cache_write=0)})
KEY = Credential(kind="api_key", value="sk-real")
PLACEHOLDER = "ashigaru-placeholder"
SHOWN = {"x-api-key": PLACEHOLDER}
BODY = json.dumps({"model": "claude-sonnet-5-5", "max_tokens": 10, "stream": False}).encode()
STREAMED = json.dumps({"model": "claude-sonnet-5-5", "max_tokens": 10, "stream": True}).encode()
START = event({"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": 40}}})
SAID = event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "y" * 80}})
ENDED = event({"type": "message_delta", "usage": {"output_tokens": 2}})
SSE = {"content-type": "text/event-stream; charset=utf-8"}
COSTS_SIX = whole({"input_tokens": 4, "output_tokens": 2})


@dataclass(kw_only=True)
class House:
    """A gateway with one grant open."""

    loop: GatewayLoop
    gateway: ModelGateway
    books: MemorySpending
    home: Path
    budget: int = 1_000_000
    grants: list[Grant] = field(default_factory=list)

    def grant(
        self,
        run_id: str = "r",
        attempt: int = 1,
        budget: int | None = None,
        patience_s: float = 60.0,
        placeholder: str = PLACEHOLDER,
    ) -> Grant:
        made = Grant(
            run_id=run_id,
            attempt=attempt,
            repo="widgets",
            model="sonnet",
            effort="medium",
            placeholder=placeholder,
            socket=self.home / f"{run_id}-{attempt}" / "model.sock",
            run_micro_usd=self.budget if budget is None else budget,
            patience_s=patience_s,
        )
        self.gateway.open(made)
        return made

    @contextmanager
    def client(self, grant: Grant) -> Iterator[httpx.Client]:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(grant.socket)), base_url="http://gateway", timeout=PATIENCE_S
        ) as client:
            yield client

    def ask(
        self,
        grant: Grant,
        body: bytes = BODY,
        path: str = "/v1/messages?beta=true",
        shown: Mapping[str, str] = SHOWN,
    ) -> httpx.Response:
        with self.client(grant) as client:
            return client.post(path, content=body, headers=dict(shown))

    def settled(self) -> int:
        """What run "r" has spent once everything that was answered is on the books."""
        self.gateway.close()
        return self.books.spent("r")


@contextmanager
def house(
    home: Path,
    upstream: Upstream,
    *,
    credential: Credential | None = KEY,
    books: MemorySpending | None = None,
    idle_s: float = 300.0,
) -> Iterator[House]:
    loop = GatewayLoop()
    loop.start()
    kept = MemorySpending() if books is None else books
    gateway = ModelGateway(loop, upstream, credential, PRICES, kept, idle_s=idle_s)
    try:
        yield House(loop=loop, gateway=gateway, books=kept, home=home)
    finally:
        gateway.close()
        loop.run(upstream.close())
        loop.close()


@dataclass(kw_only=True)
class WatchedSpending(MemorySpending):
    """Books that say when somebody had to wait."""

    busy: threading.Event = field(default_factory=threading.Event)

    def reserve(self, asking: Asking) -> Admission:
        answer = super().reserve(asking)
        if isinstance(answer, Busy):
            self.busy.set()
        return answer


def error_of(response: httpx.Response) -> str:
    told = response.json()
    assert told["type"] == "error"
    return str(told["error"]["type"])


# --- who may ask what ---


@pytest.mark.parametrize("credential", [KEY, Credential(kind="oauth", value="oat-real")])
@pytest.mark.parametrize("shown", [SHOWN, {"authorization": f"Bearer {PLACEHOLDER}"}])
def test_the_placeholder_becomes_the_credential(tmp_path: Path, credential: Credential, shown: dict[str, str]) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream, credential=credential) as one:
        assert one.ask(one.grant(), shown=shown).status_code == 200
    headers = upstream.asked[0].headers
    wanted = {"x-api-key": "sk-real"} if credential.kind == "api_key" else {"authorization": "Bearer oat-real"}
    assert {name: value for name, value in headers.items() if name in {"x-api-key", "authorization"}} == wanted
    assert PLACEHOLDER not in str(headers)


def test_the_body_goes_up_as_it_came_and_of_the_headers_those_that_the_api_reads(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    body = b' {"model" :"claude-sonnet-5-5",\n "messages":[{"role":"user","content":"\xc3\xa9"}]} '
    with house(tmp_path, upstream) as one:
        shown = {
            **SHOWN,
            "anthropic-beta": "b",
            "x-stainless-os": "Linux",
            "cookie": "c",
            "connection": "close",
            "te": "x",
        }
        one.ask(one.grant(), body, shown=shown)
    asked = upstream.asked[0]
    assert (asked.body, asked.path, asked.run_id, asked.attempt) == (body, "/v1/messages?beta=true", "r", 1)
    assert asked.headers["anthropic-beta"] == "b"
    assert asked.headers["x-stainless-os"] == "Linux"
    assert not {"cookie", "connection", "te", "host", "content-length"} & set(asked.headers)


@pytest.mark.parametrize("shown", [{}, {"x-api-key": "sk-real"}, {"authorization": f"Basic {PLACEHOLDER}"}])
def test_another_placeholder_is_refused(tmp_path: Path, shown: dict[str, str]) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one:
        response = one.ask(one.grant(), shown=shown)
    assert (response.status_code, error_of(response)) == (401, "authentication_error")
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("POST", "/v1/files"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "//v1/messages"),
    ],
)
def test_only_the_messages_api_passes(tmp_path: Path, method: str, path: str) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one, one.client(one.grant()) as client:
        response = client.request(method, f"http://gateway{path}", headers={"x-api-key": PLACEHOLDER}, content=BODY)
        assert client.head("/api/hello").status_code == 204
    assert (response.status_code, error_of(response)) == (404, "not_found_error")
    assert upstream.asked == []


def test_of_a_query_only_beta_goes_up(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one:
        one.ask(one.grant(), path="/v1/messages?x=@evil.example/")
    assert upstream.asked[0].path == "/v1/messages"


def test_a_question_that_would_reach_the_network_is_not_passed_on(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    body = json.dumps(
        {"model": "claude-sonnet-5-5", "tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}
    ).encode()
    with house(tmp_path, upstream) as one:
        response = one.ask(one.grant(), body)
    assert (response.status_code, error_of(response)) == (400, "invalid_request_error")
    assert upstream.asked == []


def test_too_large_a_request_is_refused(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one:
        response = one.ask(one.grant(), b" " * (32 * 1024 * 1024 + 1))
    assert response.status_code == 413
    assert upstream.asked == []


def test_a_placeholder_is_worth_nothing_at_another_attempts_socket(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one:
        first, other = one.grant(), one.grant(attempt=2, placeholder="ashigaru-other")
        assert one.ask(other).status_code == 401
        assert one.ask(first, shown={"x-api-key": other.placeholder}).status_code == 401
        assert upstream.asked == []
        assert one.ask(other, shown={"x-api-key": other.placeholder}).status_code == 200


@pytest.mark.parametrize(
    "changes", [{"model": "claude-opus-5-5"}, {"output_config": {"effort": "max"}}, {"speed": "fast"}]
)
def test_a_question_above_the_attempts_tier_is_not_passed_on(tmp_path: Path, changes: dict[str, Any]) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one:
        response = one.ask(one.grant(), json.dumps({**json.loads(BODY), **changes}).encode())
        assert (response.status_code, error_of(response)) == (400, "invalid_request_error")
        assert one.gateway.refused("r", 1) is None
    assert upstream.asked == []


def test_who_is_refused_too_often_is_not_listened_to_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_MAX_REFUSALS", 3)
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one:
        grant, other = one.grant(), one.grant(attempt=2)
        assert [one.ask(grant, b"[]").status_code for _ in range(3)] == [400, 400, 400]
        assert "too many" in one.ask(grant).text
        assert one.ask(other).status_code == 200
    assert len(upstream.asked) == 1


# --- answers ---


def test_an_answer_streams_as_it_comes(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(START, SAID, ENDED), headers=SSE)
    with house(tmp_path, upstream) as one, one.client(one.grant()) as client:
        with client.stream("POST", "/v1/messages", content=STREAMED, headers={"x-api-key": PLACEHOLDER}) as response:
            parts = response.iter_raw()
            assert next(parts) == START
            assert one.gateway.lively("r", 1)
            upstream.go_on.set()
            assert b"".join(parts) == SAID + ENDED
            assert not one.gateway.lively("r", 1)
        assert one.settled() == 42


def test_an_answer_that_breaks_off_breaks_the_connection_and_is_paid_for(tmp_path: Path) -> None:
    upstream = AnsweringUpstream(chunks=(START, SAID), headers=SSE, cut=True)
    with house(tmp_path, upstream) as one:
        with pytest.raises(httpx.RemoteProtocolError):
            one.ask(one.grant(), STREAMED)
        assert one.gateway.failure("r", 1) == Failure(status=None, type="", retry_at=None)
        assert one.settled() == 40 + 20


def test_an_answer_without_a_byte_for_too_long_is_cut(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(START,), headers=SSE)
    with house(tmp_path, upstream, idle_s=0.05) as one:
        with pytest.raises(httpx.RemoteProtocolError):
            one.ask(one.grant(), STREAMED)
        assert one.settled() == 40


def test_an_upstream_that_takes_a_question_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    with house(tmp_path, SilentUpstream(), idle_s=0.05) as one:
        assert one.ask(one.grant()).status_code == 529
        assert one.gateway.failure("r", 1) == Failure(status=None, type="", retry_at=None)
        assert one.settled() == 0


def test_hanging_up_lets_go_of_the_upstream_and_still_costs(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(START,), headers=SSE)
    with house(tmp_path, upstream) as one, one.client(one.grant()) as client:
        with client.stream("POST", "/v1/messages", content=STREAMED, headers={"x-api-key": PLACEHOLDER}) as response:
            assert next(response.iter_raw()) == START
        assert upstream.dropped.wait(PATIENCE_S)
        assert one.settled() == 40


def test_an_upstream_that_cannot_be_reached_is_an_overload_that_is_tried_again(tmp_path: Path) -> None:
    with house(tmp_path, AbsentUpstream()) as one:
        response = one.ask(one.grant())
        assert (response.status_code, error_of(response)) == (529, "overloaded_error")
        assert one.gateway.failure("r", 1) == Failure(status=None, type="", retry_at=None)
        assert one.settled() == 0


def failing(status: int, kind: str, **headers: str) -> AnsweringUpstream:
    told = {"type": "error", "error": {"type": kind, "message": "key sk-real is not right"}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return AnsweringUpstream(status=status, chunks=(json.dumps(told).encode(),), headers=named)


def test_an_upstreams_error_passes_without_the_credential_and_is_remembered(tmp_path: Path) -> None:
    with house(tmp_path, failing(401, "authentication_error", set_cookie="c", request_id="q")) as one:
        response = one.ask(one.grant())
        assert (response.status_code, error_of(response)) == (401, "authentication_error")
        assert "sk-real" not in response.text
        assert "set-cookie" not in response.headers
        assert response.headers["request-id"] == "q"
        assert one.gateway.failure("r", 1) == Failure(status=401, type="authentication_error", retry_at=None)
        assert one.settled() == 0


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"retry_after": "30"}, "soon"),
        ({"anthropic_ratelimit_unified_reset": "1900000000"}, 1_900_000_000.0),
        ({"retry_after": "30", "anthropic_ratelimit_unified_reset": "1900000000"}, "soon"),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1_792_567_680.0),
        ({"retry_after": "later"}, None),
        ({}, None),
    ],
)
def test_a_quota_says_when_to_try_again(tmp_path: Path, headers: dict[str, str], wanted: float | str | None) -> None:
    with house(tmp_path, failing(429, "rate_limit_error", **headers)) as one:
        response = one.ask(one.grant())
        for name, value in headers.items():
            assert response.headers[name.replace("_", "-")] == value
        failure = one.gateway.failure("r", 1)
    assert failure is not None
    assert (failure.status, failure.type) == (429, "rate_limit_error")
    if wanted == "soon":
        assert failure.retry_at is not None
        assert failure.retry_at < 1_900_000_000
    else:
        assert failure.retry_at == wanted


def test_an_error_in_mid_stream_is_remembered_until_a_good_answer(tmp_path: Path) -> None:
    upstream = AnsweringUpstream(
        chunks=(START, event({"type": "error", "error": {"type": "overloaded_error"}})), headers=SSE
    )
    with house(tmp_path, upstream) as one:
        grant = one.grant()
        one.ask(grant, STREAMED)
        assert one.gateway.failure("r", 1) == Failure(status=529, type="overloaded_error", retry_at=None)
        upstream.chunks = (START, SAID, ENDED)
        one.ask(grant, STREAMED)
        assert one.gateway.failure("r", 1) is None


# --- money ---


def test_a_run_without_money_is_refused_for_good(tmp_path: Path) -> None:
    upstream = AnsweringUpstream(chunks=(COSTS_SIX,))
    with house(tmp_path, upstream) as one:
        grant = one.grant(budget=12)
        assert [one.ask(grant).status_code for _ in range(2)] == [200, 200]
        assert len(upstream.asked) == 2
        response = one.ask(grant)
        assert (response.status_code, error_of(response)) == (400, "invalid_request_error")
        assert BUDGET_WORDS in response.text
        assert len(upstream.asked) == 2
        assert one.gateway.refused("r", 1) is Barrier.RUN
        assert one.gateway.refused("other", 1) is None
        assert one.settled() == 12


def test_a_new_grant_with_more_money_is_not_exhausted(tmp_path: Path) -> None:
    with house(tmp_path, AnsweringUpstream(chunks=(COSTS_SIX,))) as one:
        grant = one.grant(budget=6)
        assert [one.ask(grant).status_code for _ in range(2)] == [200, 400]
        one.grant(attempt=2, budget=100)
        assert one.gateway.refused("r", 2) is None


def test_a_gateway_that_was_restarted_still_knows_that_the_money_is_used_up(tmp_path: Path) -> None:
    books = MemorySpending()
    books.add("r", 50)
    with house(tmp_path, AnsweringUpstream(), books=books) as one:
        one.grant(budget=50)
        assert one.gateway.refused("r", 1) is Barrier.RUN


def test_near_the_end_of_the_money_one_question_waits_for_the_other(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(b" ", COSTS_SIX))
    with house(tmp_path, upstream) as one, ThreadPoolExecutor(4) as pool:
        grants = [one.grant(attempt=number, budget=13) for number in (1, 2, 3, 4)]
        answers = [pool.submit(one.ask, grant) for grant in grants]
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        upstream.go_on.set()
        told = sorted(answer.result(PATIENCE_S).status_code for answer in answers)
        assert told == [200, 200, 200, 400]
        assert upstream.most_at_once == 1
        assert one.settled() == 18


def test_with_money_enough_questions_are_asked_side_by_side(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(b" ", COSTS_SIX))
    with house(tmp_path, upstream) as one, ThreadPoolExecutor(2) as pool:
        grant = one.grant()
        answers = [pool.submit(one.ask, grant) for _ in range(2)]
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        upstream.go_on.set()
        assert [answer.result(PATIENCE_S).status_code for answer in answers] == [200, 200]


def test_what_the_books_would_not_take_is_offered_again(tmp_path: Path) -> None:
    books = FailingSpending()
    with house(tmp_path, AnsweringUpstream(chunks=(COSTS_SIX,)), books=books) as one:
        grant = one.grant()
        assert one.ask(grant).status_code == 200
        refused = one.ask(grant)
        assert (refused.status_code, error_of(refused)) == (529, "overloaded_error")
        books.out_of_order = False
        assert one.ask(grant).status_code == 200
        assert one.settled() == 12


def test_a_budget_that_cannot_be_read_lets_nothing_through(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream, books=FailingSpending(unreadable=True)) as one:
        assert one.ask(one.grant()).status_code == 529
    assert upstream.asked == []


def test_a_question_that_is_silent_for_too_long_is_the_upstreams_failure(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(START, SAID, ENDED), headers=SSE)
    with house(tmp_path, upstream) as one, ThreadPoolExecutor(1) as pool:
        grant = one.grant(patience_s=0.0)
        patient = one.grant(attempt=2, patience_s=600.0)
        answers = [pool.submit(one.ask, grant, STREAMED)]
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        assert one.gateway.failure("r", 1) == Failure(status=None, type="", retry_at=None)
        assert one.gateway.failure("r", patient.attempt) is None
        assert not one.gateway.lively("r", 1)
        assert not one.gateway.lively("r", patient.attempt)
        upstream.go_on.set()
        assert [answer.result(PATIENCE_S).status_code for answer in answers] == [200]
        assert one.gateway.failure("r", 1) is None


def test_an_answer_that_never_ends_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "_MAX_ANSWER", len(START) + len(SAID))
    with house(tmp_path, AnsweringUpstream(chunks=(START, SAID, SAID, ENDED), headers=SSE)) as one:
        with pytest.raises(httpx.RemoteProtocolError):
            one.ask(one.grant(), STREAMED)
        assert one.gateway.failure("r", 1) == Failure(status=None, type="", retry_at=None)


def test_an_error_that_never_ends_is_cut(tmp_path: Path) -> None:
    with house(tmp_path, AnsweringUpstream(status=500, chunks=(b"x" * 60_000,) * 50)) as one:
        response = one.ask(one.grant())
        assert (response.status_code, len(response.content)) == (500, 64 * 1024)


@pytest.mark.parametrize(
    ("barrier", "words"),
    [(Barrier.HALTED, "halted"), (Barrier.REPO_DAY, "repository's budget"), (Barrier.DAY, "budget of the day")],
)
def test_a_halt_and_a_budget_of_the_day_refuse_the_next_question(tmp_path: Path, barrier: Barrier, words: str) -> None:
    upstream = AnsweringUpstream(chunks=(COSTS_SIX,))
    bounds = DayBudgets(
        repo_micro_usd=6 if barrier is Barrier.REPO_DAY else 0, all_micro_usd=6 if barrier is Barrier.DAY else 0
    )
    with house(tmp_path, upstream, books=MemorySpending(budgets=bounds)) as one:
        grant = one.grant()
        assert one.gateway.closed("widgets") is None
        assert one.ask(grant).status_code == 200
        if barrier is Barrier.HALTED:
            one.books.halt("")
        response = one.ask(grant)
        assert (response.status_code, error_of(response)) == (400, "invalid_request_error")
        assert words in response.text
        assert one.gateway.refused("r", 1) is one.gateway.closed("widgets") is barrier
        one.books.resume()
        one.books.budgets = DayBudgets()
        assert one.ask(grant).status_code == 200
        assert one.gateway.refused("r", 1) is None
    assert len(upstream.asked) == 2


def test_what_a_dead_gateway_left_is_counted_when_the_next_one_starts() -> None:
    books = MemorySpending()
    books.reserve(Asking(run_id="r", attempt=1, repo="widgets", run_bound=100, estimate=40))
    with gateways(
        upstream=AnsweringUpstream(),
        credential=None,
        prices=PRICES,
        spending=books,
        egress=Egress(allowed=frozenset(), private_hosts=frozenset()),
    ):
        assert (books.spent("r"), books.held) == (40, {})


def test_who_gives_up_on_a_silent_upstream_leaves_its_failure_behind(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(START,), headers=SSE)
    with house(tmp_path, upstream) as one:
        for grant in (one.grant(patience_s=0.0), one.grant(attempt=2)):
            with (
                one.client(grant) as client,
                client.stream("POST", "/v1/messages", content=STREAMED, headers=SHOWN) as response,
            ):
                assert next(response.iter_raw()) == START
        one.gateway.close()
        assert one.gateway.failure("r", 1) == Failure(status=None, type="", retry_at=None)
        assert one.gateway.failure("r", 2) is None


# --- sockets ---


def test_opening_twice_changes_nothing_and_an_old_socket_is_replaced(tmp_path: Path) -> None:
    with house(tmp_path, AnsweringUpstream()) as one:
        listening_socket(tmp_path / "r-1" / "model.sock").close()
        grant = one.grant()
        inode = grant.socket.stat().st_ino
        assert one.grant() == grant
        assert grant.socket.stat().st_ino == inode
        assert one.ask(grant).status_code == 200


def test_only_this_account_may_connect(tmp_path: Path) -> None:
    with house(tmp_path, AnsweringUpstream()) as one:
        grant = one.grant()
        assert stat.S_IMODE(grant.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(grant.socket.parent.stat().st_mode) == 0o700


def test_after_shut_the_placeholder_is_worth_nothing(tmp_path: Path) -> None:
    upstream = AnsweringUpstream()
    with house(tmp_path, upstream) as one:
        grant = one.grant()
        with one.client(grant) as client:
            assert client.post("/v1/messages", content=BODY, headers={"x-api-key": PLACEHOLDER}).status_code == 200
            one.gateway.shut("r", 1)
            one.gateway.shut("r", 1)
            assert not grant.socket.exists()
            try:
                again = client.post("/v1/messages", content=BODY, headers={"x-api-key": PLACEHOLDER}).status_code
            except httpx.TransportError:
                again = 401
        assert again == 401
        assert len(upstream.asked) == 1
        assert one.ask(one.grant()).status_code == 200


def test_a_question_that_waited_for_its_turn_is_not_asked_when_the_attempt_is_over(tmp_path: Path) -> None:
    upstream = HeldUpstream(chunks=(b" ", COSTS_SIX))
    waiting = WatchedSpending(budgets=DayBudgets(all_micro_usd=13))
    with house(tmp_path, upstream, books=waiting) as one, ThreadPoolExecutor(2) as pool:
        first, second = one.grant(), one.grant(run_id="s")
        answer = pool.submit(one.ask, first)
        assert upstream.begun.acquire(timeout=PATIENCE_S)
        late = pool.submit(one.ask, second)
        assert waiting.busy.wait(PATIENCE_S)
        one.gateway.shut("s", 1)
        upstream.go_on.set()
        assert answer.result(PATIENCE_S).status_code == 200
        try:
            told = late.result(PATIENCE_S).status_code
        except httpx.TransportError:
            told = 401
        assert told == 401
        one.gateway.close()
        assert (len(upstream.asked), waiting.held, waiting.spent("s")) == (1, {}, 0)


def test_a_path_longer_than_an_address_can_be_served(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with house(deep, AnsweringUpstream()) as one:
        grant = one.grant()
        assert len(str(grant.socket)) > 108
        (tmp_path / "near").symlink_to(grant.socket.parent)
        near = replace(grant, socket=tmp_path / "near" / "model.sock")
        assert len(str(near.socket)) < 108
        assert one.ask(near).status_code == 200


def test_a_socket_that_cannot_be_made_is_a_fault_and_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "r-2").write_bytes(b"")
    with house(tmp_path, AnsweringUpstream()) as one:
        grant = one.grant()
        with pytest.raises(SandboxFault, match="No socket can be made"):
            one.grant(attempt=2)
        assert one.ask(grant).status_code == 200


# --- over the real client, and as the runner sees it ---


@contextmanager
def canned_api(loop: GatewayLoop, reply: bytes, seen: list[bytes]) -> Iterator[str]:
    """An HTTP server that says the same to everybody; gives its base URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        seen.append(head + await reader.readexactly(length))
        writer.write(reply)
        await writer.drain()
        writer.close()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(answer, "127.0.0.1", 0)

    server = loop.run(serve())
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:

        async def stop() -> None:
            server.close()

        loop.run(stop())


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", 200),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 302),
        (b"gibberish\r\n\r\n", 529),
        (b"", 529),
    ],
)
def test_the_real_client_asks_the_api_and_only_the_api(tmp_path: Path, reply: bytes, status: int) -> None:
    seen: list[bytes] = []
    outside = GatewayLoop()
    outside.start()
    try:
        with canned_api(outside, reply, seen) as url, house(tmp_path, Anthropic(url)) as one:
            response = one.ask(one.grant())
            assert response.status_code == status
            assert "127.0.0.1" not in response.text + str(response.headers)
        assert len(seen) == 1
        assert seen[0].startswith(b"POST /v1/messages?beta=true HTTP/1.1\r\n")
        assert b"x-api-key: sk-real\r\n" in seen[0]
        assert seen[0].endswith(BODY)
    finally:
        outside.close()


def test_an_api_that_nobody_serves_is_an_overload(tmp_path: Path) -> None:
    with house(tmp_path, Anthropic("http://127.0.0.1:9")) as one:
        assert one.ask(one.grant()).status_code == 529


def test_an_upstream_that_needs_a_token_does_not_start_without_one() -> None:
    with (
        pytest.raises(BadIntent, match="No model token"),
        gateways(
            upstream=Anthropic("http://127.0.0.1:9"),
            credential=None,
            prices=PRICES,
            spending=MemorySpending(),
            egress=Egress(allowed=frozenset(), private_hosts=frozenset()),
        ),
    ):
        pass


def test_a_cassette_answers_through_the_runners_port(tmp_path: Path) -> None:
    play = parse_cassette(b'version=1\n[[script]]\n[[script.turn]]\ntext="At your service."\n', "x")
    told: dict[str, Any] = {"model": "claude-sonnet-5-5", "messages": [], "tools": [{"name": "Read"}]}
    before = threading.active_count()
    with gateways(
        upstream=Replay(cassette=play),
        credential=None,
        prices=PRICES,
        spending=MemorySpending(),
        egress=Egress(allowed=frozenset(), private_hosts=frozenset()),
    ) as walls:
        access: GatewayAccess = walls.model
        allowance = Allowance(
            run_id="r",
            attempt=1,
            repo="widgets",
            model="sonnet",
            effort="medium",
            placeholder=PLACEHOLDER,
            sockets=tmp_path / "s",
            run_micro_usd=1_000_000,
        )
        access.open(allowance)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "s" / "model.sock"))) as client:
            response = client.post("http://g/v1/messages", json=told, headers={"x-api-key": PLACEHOLDER})
        assert response.json()["content"] == [{"type": "text", "text": "At your service."}]
        assert (access.failure("r", 1), access.refused("r", 1)) == (None, None)
        access.shut("r", 1)
    assert threading.active_count() == before


def test_closing_twice_is_safe_and_the_credential_is_never_shown(tmp_path: Path) -> None:
    with house(tmp_path, AnsweringUpstream()) as one:
        one.grant()
        one.gateway.close()
        one.gateway.close()
    assert "sk-real" not in repr(KEY)
