"""What a person sees of a run while it goes on: one line for each thing that happened, in the order it happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mcp_ashigaru.client import Caller
from runner.model import WORKING_PHASES, Phase

T = TypeVar("T")

_WAIT_S = 20.0
_WORKING = {phase.value for phase in WORKING_PHASES | {Phase.CI}}
_FRUITLESS = {Phase.ESCALATED.value, Phase.BLOCKED.value, Phase.CANCELLED.value}


def headline(told: dict[str, Any]) -> str:
    """The run in a few lines, as a phone would show it."""
    return str(told["headline"])


def fruitless(told: dict[str, Any]) -> bool:
    """Whether the run ended without a pull request to review."""
    return told["phase"] in _FRUITLESS


def going_on(told: dict[str, Any]) -> bool:
    """Whether something of the run is at work or due."""
    return told["phase"] in _WORKING


def news(before: dict[str, Any] | None, now: dict[str, Any], elapsed_s: float) -> list[str]:
    """What `now` tells that `before` did not, one line each.

    First what the agent did, then what the gates said of it, then the phase that this led to.
    """
    known = before or {"recent_actions": [], "verdicts": [], "phase": None, "tier": None}
    lines = [f"          {action}" for action in _fresh(known["recent_actions"], now["recent_actions"])]
    lines += [
        f"          gate on {one['what']}: {one['outcome']} - {one['summary']}"
        for one in _fresh(known["verdicts"], now["verdicts"])
    ]
    if (known["phase"], known["tier"]) != (now["phase"], now["tier"]):
        minutes, seconds = divmod(int(elapsed_s), 60)
        lines.append(f"{minutes:>4}:{seconds:02}  {now['phase']:<16} tier {now['tier'] or '-'}  {now['spent_usd']}")
    return lines


def _fresh(seen: Sequence[T], now: Sequence[T]) -> Sequence[T]:
    # The list slides: what is new is what follows the longest end of the old one that begins the new one.
    overlap = next((n for n in range(min(len(seen), len(now)), 0, -1) if seen[-n:] == now[:n]), 0)
    return now[overlap:]


async def follow(
    caller: Caller, run_id: str, say: Callable[[str], None], *, through_waits: bool = True
) -> dict[str, Any]:
    """Tell the news of a run until it rests; the last status. Without `through_waits` a wait is a rest too.

    Time is counted from the first line.
    """
    going = _WORKING if through_waits else _WORKING - {Phase.WAITING.value}
    began = time.monotonic()
    told = await caller.call("status", run_id=run_id)
    for line in news(None, told, 0.0):
        say(line)
    while told["phase"] in going:
        after = await caller.call("status", run_id=run_id, since=told["cursor"], wait_s=_WAIT_S)
        for line in news(told, after, time.monotonic() - began):
            say(line)
        told = after
    return told
