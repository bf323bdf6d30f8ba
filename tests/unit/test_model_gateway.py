"""The model gateway, driven over its Unix sockets: who may ask what, and what comes back."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.gateway import exchange, passing
from runner.gateway.exchange import Credential
from runner.gateway.passing import Failure
from tests.fakes.gateway_rig import (
    BODY,
    ENDED,
    KEY,
    PLACEHOLDER,
    SAID,
    SHOWN,
    SSE,
    START,
    STREAMED,
    error_of,
    house,
)
from tests.fakes.upstream import (
    PATIENCE_S,
    AbsentUpstream,
    AnsweringUpstream,
    HeldUpstream,
    SilentUpstream,
    event,
)

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
