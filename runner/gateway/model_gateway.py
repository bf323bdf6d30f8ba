"""The model gateway: one Unix socket an attempt, where a placeholder becomes the credential and every token is counted.

Runs in the daemon. Only the Messages API passes; the request's bytes are not touched, but for the one header.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import uvicorn

from runner.gateway.exchange import BUDGET_WORDS, Credential, CredentialKind, Exchange, Grant
from runner.gateway.loop import GatewayLoop, listening_socket
from runner.gateway.metering import PriceTable
from runner.gateway.passing import Failure
from runner.gateway.purse import Purse
from runner.gateway.upstream import Upstream
from runner.spending import Barrier, Spending

__all__ = ["BUDGET_WORDS", "Credential", "CredentialKind", "Failure", "Grant", "ModelGateway"]

_IDLE_S: Final = 300.0
_MAX_CONNECTIONS: Final = 64
_GRACE_S: Final = 1
_CLOSE_S: Final = 5.0
_REMEMBERED: Final = 500


@dataclass(kw_only=True)
class _Open:
    exchange: Exchange
    server: uvicorn.Server
    serving: asyncio.Task[None]


class ModelGateway:
    """Serves grants until they are shut. Safe to use from any thread but the loop's own."""

    def __init__(
        self,
        loop: GatewayLoop,
        upstream: Upstream,
        credential: Credential | None,
        prices: PriceTable,
        spending: Spending,
        *,
        idle_s: float = _IDLE_S,
    ) -> None:
        """Serve nothing yet. credential None: only an upstream that needs none will answer.

        idle_s: how long an answer may go without a byte before it is cut.
        """
        self._loop = loop
        self._upstream = upstream
        self._credential = credential
        self._prices = prices
        self._spending = spending
        self._purse = Purse(spending)
        self._idle_s = idle_s
        self._open: dict[tuple[str, int], _Open] = {}
        self._known: dict[tuple[str, int], Exchange] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def open(self, grant: Grant) -> None:
        """Serve the grant's socket from now on. A second time changes nothing. Raises SandboxFault."""
        self._loop.run(self._serve(grant))

    def shut(self, run_id: str, attempt: int) -> None:
        """No longer serve it: its placeholder is worth nothing. One that is not open: nothing."""
        self._loop.run(self._stop((run_id, attempt)))

    def close(self) -> None:
        """Shut every grant, and return when what was answered to them is on the books (or a few seconds later)."""
        self._loop.run(self._stop_all())

    def closed(self, repo: str) -> Barrier | None:
        """What would refuse every question of the repository just now. Raises RecordsFault."""
        return self._spending.barrier(repo)

    def refused(self, run_id: str, attempt: int) -> Barrier | None:
        """Why a request of the attempt was refused, or would be: for want of money, or by a halt.

        Speaks of grants opened since this gateway began, the last few hundred. Raises RecordsFault.
        """
        known = self._known.get((run_id, attempt))
        if known is None or known.refused is not None:
            return None if known is None else known.refused
        # A gateway that was restarted after the refusal has not seen it; the books have not forgotten.
        return self._spending.barrier(known.grant.repo, run_id, known.grant.run_micro_usd)

    def failure(self, run_id: str, attempt: int) -> Failure | None:
        """The upstream's last failure that no good answer followed; a question that is silent for too long is one."""
        return self._loop.run(self._failure((run_id, attempt)))

    def lively(self, run_id: str, attempt: int) -> bool:
        """Whether a question of the attempt is being answered, not silent for too long."""
        return self._loop.run(self._lively((run_id, attempt)))

    async def _lively(self, key: tuple[str, int]) -> bool:
        known = self._known.get(key)
        return known is not None and known.lively()

    async def _serve(self, grant: Grant) -> None:
        key = (grant.run_id, grant.attempt)
        if key in self._open:
            return
        listener = listening_socket(grant.socket)
        exchange = Exchange(
            grant=grant,
            upstream=self._upstream,
            credential=self._credential,
            prices=self._prices,
            purse=self._purse,
            idle_s=self._idle_s,
        )
        config = uvicorn.Config(
            exchange,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            date_header=False,
        )
        # The socket is ours and listens already: a server that cannot bind one of its own ends the process.
        server = uvicorn.Server(config)
        serving = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        self._open[key] = _Open(exchange=exchange, server=server, serving=serving)
        self._known.pop(key, None)
        self._known[key] = exchange
        while len(self._known) > _REMEMBERED:
            self._known.pop(next(iter(self._known)))

    async def _failure(self, key: tuple[str, int]) -> Failure | None:
        known = self._known.get(key)
        if known is None or known.failure is not None:
            return None if known is None else known.failure
        return Failure(status=None, type="", retry_at=None) if known.stalled() else None

    async def _stop(self, key: tuple[str, int]) -> None:
        served = self._open.pop(key, None)
        if served is None:
            return
        served.exchange.shut = True
        served.server.should_exit = True
        served.exchange.grant.socket.unlink(missing_ok=True)
        self._closing.add(served.serving)
        served.serving.add_done_callback(self._closing.discard)

    async def _stop_all(self) -> None:
        for key in list(self._open):
            await self._stop(key)
        left = self._closing | {task for one in self._known.values() for task in one.answering}
        if left:
            await asyncio.wait(left, timeout=_CLOSE_S)
