"""How an agent ends that may spend nothing more: for a halt, or for want of money. Pure."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from runner.conclusion import Stopped, conclude
from runner.facts import AgentEnded
from runner.model import Ending
from runner.spending import Barrier, next_day_at
from runner.transcript import Transcript

STOPPED: Final = MappingProxyType(
    {
        Barrier.HALTED: Stopped.HALT,
        Barrier.RUN: Stopped.BUDGET,
        Barrier.REPO_DAY: Stopped.REPO_BUDGET,
        Barrier.DAY: Stopped.DAY_BUDGET,
    }
)


def not_begun(barrier: Barrier, now: float) -> AgentEnded:
    """The ending of an agent that was not even started, because of the barrier."""
    return dated(conclude(Transcript(), None, STOPPED[barrier]), now)


def dated(ended: AgentEnded, now: float) -> AgentEnded:
    """The ending with the time of the next try: money of the day is there again when the day has turned."""
    if ended.ending not in {Ending.DAY_BUDGET, Ending.REPO_BUDGET}:
        return ended
    return replace(ended, retry_at=next_day_at(now))
