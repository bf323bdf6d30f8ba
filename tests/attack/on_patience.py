"""Group A: slow clients, bodies without end, and doors left open."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from mcp_ashigaru import listening
from mcp_ashigaru.listening import refuse_an_open_door
from mcp_ashigaru.settings import ConfigError, load_settings
from mcp_ashigaru.web import doorkeeper
from mcp_ashigaru.web.body import Whole
from mcp_ashigaru.web.door import Guard, Names, Terms
from mcp_ashigaru.web.doorkeeper import Door, Doorkeeper
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, out_everywhere

_WAITS_S = 0.1
_HELD_S = 1.0


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="A", defence=defence, vector=vector, tried=tried, attempt=attempt)


def _served(path: str, pieces: list[bytes], *, ends: bool, ask_nobody: bool = True) -> tuple[int, int]:
    """What a request with a chunked body comes to: the bytes that the app got (-1: not reached), the status (0: none).

    ends: the last piece says so; otherwise the client falls silent after it.
    """
    took, said = [-1], [0]

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        took[0] = 0
        while True:
            message = await receive()
            took[0] += len(message.get("body", b""))
            if not message.get("more_body", False):
                return

    async def once() -> None:
        waiting = list(pieces)

        async def receive() -> Message:
            if not waiting:
                await asyncio.Event().wait()
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting) or not ends}

        async def send(message: Message) -> None:
            said[0] = message.get("status", said[0])

        door = Door(
            names=Names.of_listener("127.0.0.1", ()),
            caller=lambda _shown: None,
            ask_nobody=ask_nobody,
            body_s=_WAITS_S,
        )
        scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"127.0.0.1")]}
        await asyncio.wait_for(Doorkeeper(app, door)(scope, receive, send), _HELD_S)

    asyncio.run(once())
    return took[0], said[0]


def _slow(path: str, _ground: Ground) -> Outcome:
    try:
        _, status = _served(path, [b"{"], ends=False)
    except TimeoutError:
        return Through(what=f"it was waited for, {_HELD_S / _WAITS_S:g} times as long as is allowed")
    return Stopped(by=f"let go in time, answered {status or 'nothing'}")


def _chunked(path: str, size: int, _ground: Ground) -> Outcome:
    took, status = _served(path, [b"x" * 65536] * (size // 65536 + 1), ends=True)
    return Through(what=f"{took} bytes were taken") if took > 0 else Stopped(by=f"{status}")


def _unshown(path: str, _ground: Ground) -> Outcome:
    took, status = _served(path, [b""], ends=True, ask_nobody=False)
    return Through(what=f"{path} was reached by nobody") if took >= 0 else Stopped(by=f"{status}")


async def _all_of_it(receive: Receive, _declared: str | None, **_named: Any) -> Whole:
    parts = b""
    while True:
        message = await receive()
        parts += message.get("body", b"")
        if not message.get("more_body", False):
            return Whole(body=parts)


def _as_it_is(receive: Receive, _within_s: float) -> Receive:
    return receive


def _open(host: str, names: tuple[str, ...], ground: Ground, *, has_a_token: bool) -> Outcome:
    settings = load_settings(state_dir=ground.directory(), host=host, allowed_hosts=names)
    try:
        listening.refuse_an_open_door(settings, has_a_token=has_a_token)
    except ConfigError as refusal:
        return Stopped(by=str(refusal))
    return Through(what=f"it would listen on {host}")


_LAX = Terms(guard=Guard.NOTHING)

_DEFENCES = (
    Defence(
        name="closed-routes",
        sentence="A route that nobody opened wants a token.",
        without=out(doorkeeper, "terms_of", answering(_LAX)),
    ),
    Defence(
        name="whole-bodies",
        sentence="A body comes whole, in time and within its size before anybody acts on it.",
        without=out(doorkeeper, "whole_body", _all_of_it),
    ),
    Defence(
        name="next-pieces",
        sentence="Who lets a body wait for its next piece has gone.",
        without=out(doorkeeper, "impatient", _as_it_is),
    ),
    Defence(
        name="no-open-door",
        sentence="Beyond loopback the daemon listens only with a token and with names.",
        without=out_everywhere(refuse_an_open_door, answering(None)),
    ),
)

_ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound
_GIT = "/forge/a/b.git/git-receive-pack"

_CASES = (
    *(
        _case("closed-routes", vector, f"POST {path} without a token", partial(_unshown, path))
        for vector, path in (("unknown", "/new"), ("below-health", "/healthz/x"), ("metrics", "/metrics"))
    ),
    *(
        _case("whole-bodies", vector, f"begin a body to {path} and fall silent", partial(_slow, path))
        for vector, path in (("slow-call", "/mcp"), ("slow-event", "/webhooks/github"), ("slow-health", "/healthz"))
    ),
    _case("whole-bodies", "chunked-call", "send 5 MiB without a length", partial(_chunked, "/mcp", 5 * 2**20)),
    _case("whole-bodies", "chunked-event", "send 2 MiB so", partial(_chunked, "/webhooks/github", 2 * 2**20)),
    _case("next-pieces", "slow-push", "begin a push and fall silent", partial(_slow, _GIT)),
    _case(
        "no-open-door",
        "no-token",
        "listen everywhere without one",
        partial(_open, _ANYWHERE, ("box",), has_a_token=False),
    ),
    _case(
        "no-open-door", "no-names", "listen everywhere without names", partial(_open, _ANYWHERE, (), has_a_token=True)
    ),
    _case("no-open-door", "v6", "listen on :: without a token", partial(_open, "::", ("box",), has_a_token=False)),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
