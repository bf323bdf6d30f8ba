"""The receiving side of webhooks: who is believed, and how little."""

from __future__ import annotations

import hashlib
import hmac
import json

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from mcp_ashigaru.web.webhooks import EVENTS, MAX_BODY, PATH, is_signed, named_repo, webhook_routes

SECRET = "dummy"
BODY = json.dumps({"repository": {"full_name": "acme/widgets"}, "action": "completed"}).encode()


def _signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _post(body: bytes, nudged: list[str], **headers: str | None) -> httpx.Response:
    app = Starlette(routes=list(webhook_routes(SECRET, nudged.append)))
    asked: dict[str, str | None] = {
        "x-github-event": "check_run",
        "content-type": "application/json",
        "x-hub-signature-256": _signature(body),
    } | {name.replace("_", "-"): value for name, value in headers.items()}

    sent = {name: value.encode("latin-1") for name, value in asked.items() if value is not None}

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.post(PATH, content=body, headers=sent)

    return anyio.run(go)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_signed_event_nudges_its_repository(event: str) -> None:
    nudged: list[str] = []
    assert _post(BODY, nudged, x_github_event=event).status_code == 202
    assert nudged == ["acme/widgets"]


@pytest.mark.parametrize(
    "signature",
    [None, "", "sha256=", _signature(BODY, "other"), _signature(BODY + b" "), _signature(BODY)[7:], "sha256=é"],
)
def test_a_wrong_signature_is_refused_and_told_nothing_of_the_body(signature: str | None) -> None:
    nudged: list[str] = []
    answer = _post(BODY, nudged, x_hub_signature_256=signature)
    assert (answer.status_code, nudged) == (401, [])
    assert "acme" not in answer.text


def test_the_signature_is_looked_at_before_the_body_is_read() -> None:
    assert _post(b"{ not json", [], x_hub_signature_256="sha256=00").status_code == 401


def test_a_body_over_a_mebibyte_is_refused_whatever_its_signature() -> None:
    nudged: list[str] = []
    assert _post(BODY + b" " * MAX_BODY, nudged).status_code == 413
    assert nudged == []


def test_a_body_of_undeclared_length_is_cut_off_at_a_mebibyte() -> None:
    nudged: list[str] = []
    app = Starlette(routes=list(webhook_routes(SECRET, nudged.append)))

    async def chunks():  # type: ignore[no-untyped-def]  # noqa: ANN202 - an async iterator of bytes
        for _ in range(3):
            yield b" " * (MAX_BODY // 2)

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.post(PATH, content=chunks())

    assert anyio.run(go).status_code == 413


def test_a_form_is_refused() -> None:
    assert _post(BODY, [], content_type="application/x-www-form-urlencoded").status_code == 415


@pytest.mark.parametrize("event", ["ping", "star", "", None])
def test_a_ping_and_events_that_are_not_followed_nudge_nobody(event: str | None) -> None:
    nudged: list[str] = []
    assert _post(BODY, nudged, x_github_event=event).status_code == 204
    assert nudged == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b'{"repository": 3}', b'{"repository": {"full_name": "../etc"}}', b"[" * 100_000],
)
def test_a_signed_body_without_a_repository_is_refused(body: bytes) -> None:
    nudged: list[str] = []
    assert _post(body, nudged).status_code == 400
    assert nudged == []


def test_an_empty_secret_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="secret"):
        webhook_routes("", print)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading(body: bytes) -> None:
    assert named_repo(body) is None


@given(st.binary(max_size=100), st.text(max_size=100))
def test_no_other_text_passes_for_a_signature(body: bytes, signature: str) -> None:
    assert is_signed(SECRET.encode(), body, signature) == (signature == _signature(body))
