"""The model gateway's sockets: one for each attempt, for as long as it lasts, and for nobody else."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from runner.errors import SandboxFault
from runner.gateway.loop import listening_socket
from runner.spending import Admission, Asking, Busy, DayBudgets
from tests.fakes.gateway_rig import (
    BODY,
    COSTS_SIX,
    PLACEHOLDER,
    house,
)
from tests.fakes.spending import MemorySpending
from tests.fakes.upstream import (
    PATIENCE_S,
    AnsweringUpstream,
    HeldUpstream,
)


@dataclass(kw_only=True)
class WatchedSpending(MemorySpending):
    """Books that say when somebody had to wait."""

    busy: threading.Event = field(default_factory=threading.Event)

    def reserve(self, asking: Asking) -> Admission:
        answer = super().reserve(asking)
        if isinstance(answer, Busy):
            self.busy.set()
        return answer


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
