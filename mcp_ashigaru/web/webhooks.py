"""Where GitHub says that something happened. It is believed in one thing only: which repository to look at now."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mcp_ashigaru.web.door import WEBHOOK_BODY, WEBHOOKS
from runner.errors import BadIntent
from runner.intents import repo_name

PATH: Final = WEBHOOKS
# GitHub sends up to 25 MB; the events below are far smaller, and what is missed is seen at the next look.
MAX_BODY: Final = WEBHOOK_BODY
EVENTS: Final = frozenset(
    {
        "check_run",
        "check_suite",
        "issue_comment",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "push",
        "status",
    }
)


def webhook_routes(secret: str, nudge: Callable[[str], None]) -> list[Route]:
    """The route that GitHub posts to; `secret` is the webhook's own, `nudge(repo)` means: look at `repo` now.

    nudge: cheap, safe to repeat, called on the event loop. Raises ValueError for an empty secret, which would let
    everybody in. Answers 202 when a repository was nudged, 204 to a ping and to events that are not followed, 401
    where the signature is not GitHub's, 413 above 1 MiB, 415 for anything but JSON, 400 for a body without a
    repository's name.
    """
    if not secret:
        raise ValueError("The webhook's secret is empty; give it the one that is set at GitHub.")
    key = secret.encode()

    async def receive(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return PlainTextResponse("The event is too large; 1 MiB is taken.", 413)
        if not is_signed(key, body, request.headers.get("x-hub-signature-256", "")):
            return PlainTextResponse("The signature is wrong; set the same secret here and at GitHub.", 401)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("Set the webhook's content type to application/json.", 415)
        if request.headers.get("x-github-event") not in EVENTS:
            return Response(status_code=204)
        repo = named_repo(body)
        if repo is None:
            return PlainTextResponse("The event names no repository; send GitHub's own events.", 400)
        nudge(repo)
        return PlainTextResponse("Looking.", 202)

    return [Route(PATH, receive, methods=["POST"])]


def is_signed(key: bytes, body: bytes, signature: str) -> bool:
    """Whether `signature` ("sha256=…") was made of exactly these bytes with the key; in constant time."""
    expected = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))


def named_repo(body: bytes) -> str | None:
    """`repository.full_name` of the event, None where there is none that a repository can have."""
    try:
        event = json.loads(body)
        return repo_name(event["repository"]["full_name"])
    except (ValueError, KeyError, TypeError, RecursionError, BadIntent):
        return None


async def _body(request: Request) -> bytes | None:
    """The whole body, None as soon as it is known to be too large or broken off."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > MAX_BODY:
        return None
    parts = bytearray()
    try:
        async for chunk in request.stream():
            parts += chunk
            if len(parts) > MAX_BODY:
                return None
    except ClientDisconnect:
        return None
    return bytes(parts)
