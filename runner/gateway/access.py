"""The gateways as the runner's ports want them: started together, closed together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.conclusion import UpstreamFailure
from runner.errors import BadIntent
from runner.gateway.cassette import load_cassette
from runner.gateway.egress import Egress, EgressProxy
from runner.gateway.loop import GatewayLoop
from runner.gateway.metering import PriceTable
from runner.gateway.model_gateway import Credential, Grant, ModelGateway
from runner.gateway.recorder import Recording
from runner.gateway.upstream import Anthropic, Replay, Upstream
from runner.model_access import Allowance, CredentialKind
from runner.spending import Barrier, Spending

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class GatewayAccess:
    """`runner.agent_run.ModelAccess` over the model gateway."""

    gateway: ModelGateway
    credential_kind: CredentialKind

    def open(self, allowance: Allowance) -> None:
        """See `ModelAccess.open`."""
        self.gateway.open(
            Grant(
                run_id=allowance.run_id,
                attempt=allowance.attempt,
                repo=allowance.repo,
                model=allowance.model,
                effort=allowance.effort,
                placeholder=allowance.placeholder,
                socket=allowance.sockets / "model.sock",
                run_micro_usd=allowance.run_micro_usd,
                patience_s=allowance.patience_s,
            )
        )

    def shut(self, run_id: str, attempt: int) -> None:
        """See `ModelAccess.shut`."""
        self.gateway.shut(run_id, attempt)

    def closed(self, repo: str) -> Barrier | None:
        """See `ModelAccess.closed`."""
        return self.gateway.closed(repo)

    def refused(self, run_id: str, attempt: int) -> Barrier | None:
        """See `ModelAccess.refused`."""
        return self.gateway.refused(run_id, attempt)

    def lively(self, run_id: str, attempt: int) -> bool:
        """See `ModelAccess.lively`."""
        return self.gateway.lively(run_id, attempt)

    def failure(self, run_id: str, attempt: int) -> UpstreamFailure | None:
        """See `ModelAccess.failure`."""
        last = self.gateway.failure(run_id, attempt)
        return None if last is None else UpstreamFailure(status=last.status, type=last.type, retry_at=last.retry_at)


@dataclass(frozen=True, kw_only=True)
class Gateways:
    """What crosses the wall, both ways in."""

    model: GatewayAccess
    egress: EgressProxy


def upstream_from(setting: str, base_url: str) -> Upstream:
    """The upstream that `anthropic`, `record:<file>` or `replay:<file>` names. Raises BadIntent."""
    kind, _, rest = setting.partition(":")
    if kind == "anthropic" and not rest:
        return Anthropic(base_url)
    if kind == "replay" and rest:
        return Replay(cassette=load_cassette(Path(rest)))
    if kind == "record" and rest:
        return Recording(Anthropic(base_url), Path(rest))
    raise BadIntent("ASHIGARU_MODEL_UPSTREAM must be anthropic, record:<file> or replay:<file>.")


@contextmanager
def gateways(
    *, upstream: Upstream, credential: Credential | None, prices: PriceTable, spending: Spending, egress: Egress
) -> Iterator[Gateways]:
    """Both gateways, up until the block ends. Raises BadIntent where the upstream needs a token and there is none."""
    if upstream.needs_credential and credential is None:
        raise BadIntent(
            "No model token: set ANTHROPIC_API_KEY_FILE or CLAUDE_CODE_OAUTH_TOKEN_FILE, or replay a cassette."
        )
    if left := spending.forfeit():
        _LOG.warning("%s questions were under way when the last daemon ended: they count as they were estimated", left)
    if spending.halted() is not None:
        _LOG.warning("all spending is halted; `mcp-ashigaru resume` lets it go on")
    loop = GatewayLoop()
    loop.start()
    model = ModelGateway(loop, upstream, credential, prices, spending)
    proxy = EgressProxy(loop, egress)
    try:
        yield Gateways(
            model=GatewayAccess(gateway=model, credential_kind="api_key" if credential is None else credential.kind),
            egress=proxy,
        )
    finally:
        # In this order: what was answered is on the books before the loop is gone.
        model.close()
        proxy.close()
        loop.run(upstream.close())
        loop.close()


@contextmanager
def egress_alone(rules: Egress) -> Iterator[EgressProxy]:
    """The egress proxy without the model gateway, up until the block ends. rules: of set-ups that bring none."""
    loop = GatewayLoop()
    loop.start()
    proxy = EgressProxy(loop, rules)
    try:
        yield proxy
    finally:
        proxy.close()
        loop.close()
