"""A retry among other dispatches: its git is waited for by nobody else, and what it claims it claims in turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.adapters.system_clock import SystemClock
from runner.errors import NotPossible
from runner.ports import Checkouts
from tests.story.scenes import RIGHT, house_of, passes_when, writes

PATIENCE_S = 10.0


@dataclass(kw_only=True)
class Slow:
    """Checkouts whose clone answers when it is let, and after a while of itself."""

    checkouts: Checkouts
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    let: bool = False

    def tree_of(self, run_id: str, commit: str) -> str:
        self.reached.set()
        self.let = self.go.wait(PATIENCE_S)
        return self.checkouts.tree_of(run_id, commit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.checkouts, name)


class Leaping(SystemClock):
    """A clock by which everybody's patience is over the next time they look."""

    leapt = 0.0

    def monotonic(self) -> float:
        self.leapt += 100.0
        return super().monotonic() + self.leapt


def test_nobody_waits_for_the_git_of_a_retry_and_a_retry_waits_for_its_turn_to_claim(state: Path, source: Path) -> None:
    with house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT)).daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        foreman.call("cancel", run_id=run_id)
        service = foreman.daemon.service
        usual = service._clock
        with service._alone("dispatch"):
            service._clock = Leaping()
            with pytest.raises(NotPossible, match="ask again in a minute"):
                service.retry(run_id)
            service._clock = usual
        assert foreman.call("status", run_id=run_id)["phase"] == "cancelled"
        slow: Any = Slow(checkouts=service._retrier.checkouts)
        service._retrier = replace(service._retrier, checkouts=slow)
        with ThreadPoolExecutor(max_workers=1) as beside:
            retried = beside.submit(service.retry, run_id)
            assert slow.reached.wait(PATIENCE_S)
            other = foreman.work(issue=2)
            slow.go.set()
            assert retried.result(PATIENCE_S).run_id == run_id
        assert slow.let, "the other ticket waited for the clone of the run that was retried"
        for each in (run_id, other):
            assert foreman.at_rest(each)["phase"] == "awaiting_review"
