"""From a request to its answer: who asks, what is allowed, which failure was ordered, what is written down."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.fakes.github import app_routes, check_routes, graphql, pull_routes, repo_routes, talk_routes
from tests.fakes.github.answers import Answer, Refused, etag, not_found, problem
from tests.fakes.github.auth import NOBODY, Token, credential, identified
from tests.fakes.github.faults import MAX_HOLD_S, Fault, How
from tests.fakes.github.render import Links
from tests.fakes.github.state import Asked, Call, Moved, State

WAYS = (*pull_routes.WAYS, *talk_routes.WAYS, *check_routes.WAYS, *app_routes.WAYS, *repo_routes.WAYS)
_PREFIX = re.compile(r"/api(?:/v3)?(?=/)")
_PRIMARY = (
    "API rate limit exceeded for {who}. (But here's the good news: Authenticated requests get a higher rate limit.)"
)
_SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to "
    "GitHub Support for help, please include the request ID."
)
_SECONDARY_DOCS = (
    "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"
)
_PAGE = "<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head><body><p>Oops.</p></body></html>\n"


@dataclass(kw_only=True)
class Raw:
    """A request as it came. path: with the API's prefix, without the query."""

    method: str
    path: str
    query: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How the connection is answered: not at all (cut), with less than was announced (short), or whole."""

    answer: Answer | None
    short: bool = False


def replied(state: State, origin: str, raw: Raw) -> Reply:
    """The reply to one request; blocks while a test holds it."""
    found = _PREFIX.match(raw.path)
    prefix = found[0] if found else ""
    path = raw.path[len(prefix) :].rstrip("/") or "/"
    fault = state.faults.take(raw.method, path)
    if fault is not None:
        fault.reached.set()
        if fault.how is How.HELD_BEFORE:
            fault.released.wait(MAX_HOLD_S)
    links = Links(origin, "/api/v3" if prefix else "")
    undone = _undone(fault)
    with state.lock:
        answer, token, landed = _answer(state, links, raw, path, fault, undone)
        answer = undone or answer
        if fault is not None and fault.how is How.ERROR_AFTER:
            answer = problem(fault.status, "Server Error")
        if fault is not None and fault.how is How.HTML:
            answer = Answer(status=fault.status, raw=_PAGE.encode(), content_type="text/html; charset=utf-8")
        _note(state, raw, path, answer, token, landed=landed)
    if fault is not None and fault.how is How.HELD_AFTER:
        fault.released.wait(MAX_HOLD_S)
    if fault is not None and fault.how in {How.CUT_BEFORE, How.CUT_AFTER}:
        return Reply(answer=None)
    return Reply(answer=answer, short=fault is not None and fault.how is How.TRUNCATED)


def _undone(fault: Fault | None) -> Answer | None:
    """The answer of a failure that comes before anything is done."""
    if fault is None:
        return None
    later = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    match fault.how:
        case How.ERROR_BEFORE | How.CUT_BEFORE | How.HTML:
            return problem(fault.status, "Server Error")
        case How.SECONDARY_LIMIT:
            limited = problem(fault.status, _SECONDARY)
            limited.body["documentation_url"] = _SECONDARY_DOCS
            limited.headers |= later
            return limited
        case How.RATE_LIMITED:
            limited = problem(fault.status, _PRIMARY.format(who="user ID 1"))
            limited.headers |= later | {"X-RateLimit-Remaining": "0"}
            return limited
        case _:
            return None


def _answer(
    state: State, links: Links, raw: Raw, path: str, fault: Fault | None, undone: Answer | None
) -> tuple[Answer, Token, bool]:
    """The answer, who asked, and whether anything was done."""
    token = NOBODY
    try:
        token = identified(
            credential(raw.headers.get("authorization", "")), state.tokens, state.world, state.clock.now()
        )
        if undone is not None:
            return undone, token, False
        answer = _limited(state, token, path)
        if answer is None:
            world = fault.moment if fault is not None and fault.how is How.STALE else state.world
            call = Call(
                state=state,
                world=world,
                links=links,
                token=token,
                method=raw.method,
                path=path,
                query=dict(parse_qsl(raw.query)),
                body=_body(raw),
                headers=raw.headers,
            )
            answer = _handled(call)
            answer = _conditional(raw, answer)
            return _counted(state, token, path, answer), token, answer.status < 400
    except Refused as refusal:
        answer = refusal.answer
    return _counted(state, token, path, answer), token, False


def _handled(call: Call) -> Answer:
    if call.path == "/graphql" and call.method == "POST":
        return graphql.answered(call)
    for one in WAYS:
        found = one.pattern.fullmatch(call.path) if one.method == call.method else None
        if found is not None:
            call.part = {name: value for name, value in found.groupdict().items() if value is not None}
            try:
                return one.handler(call)
            except Moved as moved:
                query = f"?{urlencode(call.query)}" if call.query else ""
                body = {"message": "Moved Permanently", "url": moved.location}
                return Answer(status=301, body=body, headers={"Location": f"{moved.location}{query}"})
    raise not_found()


def _body(raw: Raw) -> dict[str, Any]:
    if not raw.body:
        return {}
    try:
        given = json.loads(raw.body)
    except ValueError:
        raise Refused(400, "Problems parsing JSON") from None
    # Labels may come as a bare list.
    return given if isinstance(given, dict) else {"labels": given}


def _conditional(raw: Raw, answer: Answer) -> Answer:
    if raw.method != "GET" or answer.status != 200 or answer.raw is not None:
        return answer
    tag = etag(answer.payload())
    if raw.headers.get("if-none-match") == tag:
        return Answer(status=304, headers={"ETag": tag})
    answer.headers["ETag"] = tag
    return answer


def _limited(state: State, token: Token, path: str) -> Answer | None:
    one = state.allowance(token)
    if path == "/rate_limit" or one.used < one.limit:
        return None
    return problem(403, _PRIMARY.format(who=f"user ID {token.label or 'nobody'}"))


def _counted(state: State, token: Token, path: str, answer: Answer) -> Answer:
    """The rate limit's headers; an unchanged answer and the question about the limit itself cost nothing."""
    one = state.allowance(token)
    if answer.status != 304 and path != "/rate_limit":
        one.used = min(one.used + 1, one.limit)
    answer.headers |= {
        "X-RateLimit-Limit": str(one.limit),
        "X-RateLimit-Remaining": str(one.limit - one.used),
        "X-RateLimit-Used": str(one.used),
        "X-RateLimit-Reset": str(int(one.reset)),
        "X-RateLimit-Resource": "core",
    }
    return answer


def _note(state: State, raw: Raw, path: str, answer: Answer, token: Token, *, landed: bool) -> None:
    try:
        body = json.loads(raw.body) if raw.body else None
    except ValueError:
        body = None
    state.log.append(
        Asked(
            method=raw.method,
            path=path,
            query=raw.query,
            status=answer.status,
            conditional="if-none-match" in raw.headers,
            token=token.label,
            landed=landed,
            body=body,
        )
    )
