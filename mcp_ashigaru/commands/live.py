"""What a person sees of a run while it goes on: one line for each thing that happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp_ashigaru.client import Caller
from runner.model import WORKING_PHASES, Phase

_WAIT_S = 20.0
_WORKING = {phase.value for phase in WORKING_PHASES}


def headline(told: dict[str, Any]) -> str:
    """The run in a few lines, as a phone would show it."""
    return str(told["headline"])


def news(before: dict[str, Any] | None, now: dict[str, Any]) -> list[str]:
    """What `now` tells that `before` did not, one line each."""
    lines = []
    if before is None or (before["phase"], before["tier"]) != (now["phase"], now["tier"]):
        lines.append(f"{now['phase']:<16} tier {now['tier']}  {now['spent_usd']}")
    seen = [] if before is None else before["recent_actions"]
    fresh = now["recent_actions"]
    # The list slides: what is new is what follows the longest end of the old one that begins the new one.
    overlap = next((n for n in range(min(len(seen), len(fresh)), 0, -1) if seen[-n:] == fresh[:n]), 0)
    lines += [f"    {action}" for action in fresh[overlap:]]
    known = 0 if before is None else len(before["verdicts"])
    lines += [f"  gate on {v['what']}: {v['outcome']} - {v['summary']}" for v in now["verdicts"][known:]]
    return lines


async def follow(
    caller: Caller, run_id: str, say: Callable[[str], None], *, through_waits: bool = True
) -> dict[str, Any]:
    """Tell the news of a run until it rests; the last status. Without `through_waits` a wait is a rest too."""
    going = _WORKING if through_waits else _WORKING - {Phase.WAITING.value}
    told = await caller.call("status", run_id=run_id)
    for line in news(None, told):
        say(line)
    while told["phase"] in going:
        after = await caller.call("status", run_id=run_id, since=told["cursor"], wait_s=_WAIT_S)
        for line in news(told, after):
            say(line)
        told = after
    return told
