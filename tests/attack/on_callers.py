"""Group A: who asks, by which token, and whose runs exist for them. Real tokens, keyring, doorkeeper and desk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mcp_ashigaru.web import door as door_terms
from mcp_ashigaru.web.door import Names
from mcp_ashigaru.web.doorkeeper import Door, Doorkeeper
from runner import callers, intents
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_tokens import SqlTokens
from runner.adapters.system_clock import SystemClock
from runner.callers import Caller, Scope, Token, mint
from runner.desk import Desk
from runner.errors import NotPermitted, UnknownRun
from runner.keyring import Keyring
from runner.owners import Owners
from runner.records import RunRecord
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.records_world import database, run_record
from tests.attack.taking_out import answering, out, out_everywhere


def _case(defence: str, vector: str, tried: str, attempt: Callable[[Ground], Outcome]) -> Case:
    return Case(group="A", defence=defence, vector=vector, tried=tried, attempt=attempt)


def _shown(change: Callable[[SqlTokens, Token, str], str], life_s: float, ground: Ground) -> Outcome:
    """A token that is changed, or that something happens to, and then is shown."""
    kept = SqlTokens(database(ground))
    token, text = mint("bot", scopes=frozenset(Scope), own_runs=False, life_s=life_s, now=SystemClock().now())
    kept.add(token)
    shown = change(kept, token, text)
    ring = Keyring(tokens=kept, clock=SystemClock(), operator_digest=None)

    async def reached(_request: object) -> PlainTextResponse:
        return PlainTextResponse("reached")

    app = Doorkeeper(
        Starlette(routes=[Route("/mcp", reached, methods=["POST"])]),
        Door(names=Names.of_listener("127.0.0.1", ()), caller=ring.caller, ask_nobody=False),
    )
    answer = _post(app, {"authorization": f"Bearer {shown}"}, b"")
    return Through(what="it opened /mcp") if answer.text == "reached" else Stopped(by=f"{answer.status_code}")


def _post(app: Doorkeeper, shown: dict[str, str], body: bytes) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post("/mcp", headers=shown, content=body)

    return asyncio.run(once())


def _revoked(kept: SqlTokens, token: Token, text: str) -> str:
    kept.revoke(token.id, SystemClock().now())
    return text


def _large(ground: Ground) -> Outcome:  # noqa: ARG001 - every case has one
    taken: list[int] = []

    async def reached(request: Any) -> PlainTextResponse:
        taken.append(len(await request.body()))
        return PlainTextResponse("reached")

    app = Doorkeeper(
        Starlette(routes=[Route("/mcp", reached, methods=["POST"])]),
        Door(names=Names.of_listener("127.0.0.1", ()), caller=lambda _shown: None, ask_nobody=True),
    )
    answer = _post(app, {}, b"x" * 5 * 1024 * 1024)
    return Through(what=f"{taken[0]} bytes were taken") if taken else Stopped(by=f"{answer.status_code} {answer.text}")


class _Ledger:
    """A service that remembers whether anything was asked of it."""

    def __init__(self, owners: Owners) -> None:
        self.owners = owners
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., RunRecord]:
        def deed(*_arguments: object, **_named: object) -> RunRecord:
            self.done.append(name)
            return run_record("theirs")

        return deed


def _asked(caller: Caller, deed: Callable[[Desk], object], ground: Ground) -> Outcome:
    records = SqlRecords(database(ground))
    records.claim(run_record("theirs"))
    service = _Ledger(Owners(records=records))
    try:
        deed(Desk(service, caller))  # type: ignore[arg-type] # it does what the service is asked to
    except (NotPermitted, UnknownRun) as fault:
        return Stopped(by=str(fault)) if not service.done else Through(what="it was refused, and done")
    return Through(what=f"{', '.join(service.done)} was done")


_READER = Caller(name="reader", scopes=frozenset({Scope.READ}))
_OWN = Caller(name="mine", scopes=frozenset(Scope), own_runs=True)
_DEEDS: dict[str, Callable[[Desk], object]] = {
    "promote": lambda desk: desk.promote(intents.promote("widgets", 1)),
    "dispatch": lambda desk: desk.work_ticket(intents.work_ticket("widgets", 1, "Mend it.")),
    "cancel": lambda desk: desk.cancel(intents.cancel("theirs")),
    "retry": lambda desk: desk.retry("theirs"),
    "status": lambda desk: desk.status("theirs"),
    "diff": lambda desk: desk.diff("theirs", max_bytes=10),
}

CHAPTER = Chapter(
    defences=(
        Defence(
            name="live-tokens",
            sentence="A token that expired or was revoked opens nothing.",
            without=out(Token, "is_live", answering(True)),  # noqa: FBT003 - what it answers
        ),
        Defence(
            name="proven-tokens",
            sentence="A token is proven by its secret, not by its name.",
            without=out_everywhere(callers.is_digest_of, answering(True)),  # noqa: FBT003 - what it answers
        ),
        Defence(
            name="scopes-and-owners",
            sentence="A token does what its scopes say, to the runs that exist for it.",
            without=out(Desk, "_need", answering(None)),
        ),
        Defence(
            name="body-size",
            sentence="A request to /mcp holds 4 MiB at most.",
            without=out(door_terms, "MCP_BODY", 10**9),
        ),
    ),
    cases=(
        _case("live-tokens", "expired", "show an expired token", partial(_shown, lambda _k, _t, text: text, -1.0)),
        _case("live-tokens", "revoked", "show a revoked token", partial(_shown, _revoked, 3600.0)),
        _case(
            "proven-tokens",
            "another-secret",
            "show a token's id with another secret",
            partial(_shown, lambda _k, _t, text: text[:-4] + ("0000" if text[-4:] != "0000" else "1111"), 3600.0),
        ),
        *(
            _case("scopes-and-owners", f"reader-{name}", f"{name} with a token to read", partial(_asked, _READER, deed))
            for name, deed in _DEEDS.items()
            if name not in {"status", "diff"}
        ),
        *(
            _case("scopes-and-owners", f"anothers-{name}", f"{name} another's run", partial(_asked, _OWN, deed))
            for name, deed in _DEEDS.items()
            if name not in {"promote", "dispatch"}
        ),
        _case("body-size", "five-mib", "post 5 MiB to /mcp", _large),
    ),
)
