"""A model gateway with an upstream that answers whatever it is asked, for one case; and who asks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_spending import SqlSpending
from runner.adapters.system_clock import SystemClock
from runner.gateway.exchange import Credential, Grant
from runner.gateway.loop import GatewayLoop
from runner.gateway.metering import Price, PriceTable
from runner.gateway.model_gateway import ModelGateway
from runner.model import Phase
from runner.records import AttemptRecord, RunRecord
from runner.spending import DayBudgets
from tests.fakes.records_file import laid_down
from tests.fakes.upstream import AnsweringUpstream, whole

SECRET: Final = "sk-the-operators-own"
COST: Final = 6
PATIENCE_S: Final = 20.0
PRICES: Final = PriceTable(prices={"claude-": Price(input=1_000_000, output=1_000_000, cache_read=0, cache_write=0)})
SSE: Final = {"content-type": "text/event-stream; charset=utf-8"}


@dataclass(kw_only=True)
class GatewayWorld:
    """Runs r1 and r2 of one repository, r3 of another, each with one attempt and its socket."""

    home: Path
    gateway: ModelGateway
    loop: GatewayLoop
    books: SqlSpending
    records: SqlRecords
    upstream: AnsweringUpstream
    budgets: DayBudgets
    left: ExitStack

    def grant(self, run_id: str = "r1", budget: int = 10**9, *, patience_s: float = 60.0) -> Grant:
        made = Grant(
            run_id=run_id,
            attempt=1,
            repo="gears" if run_id == "r3" else "widgets",
            model="sonnet",
            effort="medium",
            placeholder=f"ashigaru-{run_id}",
            socket=self.home / run_id / "model.sock",
            run_micro_usd=budget,
            patience_s=patience_s,
        )
        self.gateway.open(made)
        return made

    def client(self, grant: Grant) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(grant.socket))
        made = httpx.Client(transport=transport, base_url="http://gateway", timeout=PATIENCE_S)
        return self.left.enter_context(made)

    def daemon(self, host: str) -> SqlSpending:
        """The books as another process has them."""
        engine = open_engine(f"sqlite:///{self.home}/ashigaru.db")
        self.left.callback(engine.dispose)
        return SqlSpending(engine, SystemClock(), host=host, budgets=self.budgets)

    def ask(
        self,
        grant: Grant,
        body: bytes | None = None,
        *,
        method: str = "POST",
        path: str = "/v1/messages",
        shown: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        headers = {"x-api-key": grant.placeholder} if shown is None else dict(shown)
        return self.client(grant).request(method, path, content=question() if body is None else body, headers=headers)


def question(**changes: Any) -> bytes:
    """What an agent asks, with changes."""
    return json.dumps({"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": []} | changes).encode()


@contextmanager
def gateway_world(
    home: Path, upstream: AnsweringUpstream | None = None, *, repo: int = 0, everything: int = 0
) -> Iterator[GatewayWorld]:
    """A world whose upstream answers, where none is given, for six micro-dollars each time."""
    answers = upstream or AnsweringUpstream(chunks=(whole({"input_tokens": 4, "output_tokens": 2}),))
    engine = open_engine(f"sqlite:///{laid_down(home / 'ashigaru.db')}")
    records = SqlRecords(engine)
    for number in (1, 2, 3):
        _begin(records, f"r{number}", "gears" if number == 3 else "widgets")
    budgets = DayBudgets(repo_micro_usd=repo, all_micro_usd=everything)
    books = SqlSpending(engine, SystemClock(), host="here", budgets=budgets)
    loop = GatewayLoop()
    loop.start()
    gateway = ModelGateway(loop, answers, Credential(kind="api_key", value=SECRET), PRICES, books)
    left = ExitStack()
    try:
        with left:
            yield GatewayWorld(
                home=home,
                gateway=gateway,
                loop=loop,
                books=books,
                records=records,
                upstream=answers,
                budgets=budgets,
                left=left,
            )
    finally:
        gateway.close()
        loop.close()
        engine.dispose()


def _begin(records: SqlRecords, run_id: str, repo: str) -> None:
    records.claim(
        RunRecord(
            run_id=run_id,
            repo=repo,
            issue=int(run_id[1:]),
            brief="Mend it.",
            model=None,
            phase=Phase.AGENT,
            base_branch="main",
            branch=run_id,
            created_at=1.0,
            updated_at=1.0,
            start_tier=0,
        )
    )
    records.begin_attempt(
        AttemptRecord(
            run_id=run_id,
            attempt=1,
            round=1,
            tier="small",
            model="sonnet",
            effort="medium",
            from_commit="c",
            placeholder=f"ashigaru-{run_id}",
            started_at=1.0,
        )
    )
