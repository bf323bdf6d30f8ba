"""The lines that a person sees of a run."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcp_ashigaru.commands.live import fruitless, news


def told(phase: str, tier: str | None = "small", **changes: Any) -> dict[str, Any]:
    return {"phase": phase, "tier": tier, "spent_usd": "$0.10", "recent_actions": [], "verdicts": []} | changes


def verdict(outcome: str, summary: str) -> dict[str, Any]:
    return {"what": "head", "tier": "small", "outcome": outcome, "summary": summary}


def test_the_gates_word_comes_after_what_the_agent_did_and_before_the_phase_it_led_to() -> None:
    before = told("gate", recent_actions=["Read a"])
    now = told("agent", "large", recent_actions=["Read a", "Edit a"], verdicts=[verdict("failed", "1 failed")])
    lines = news(before, now, 65.4)
    assert [line.strip() for line in lines] == [
        "Edit a",
        "gate on head: failed - 1 failed",
        "1:05  agent            tier large  $0.10",
    ]


def test_a_run_without_a_tier_and_without_news_is_shown_plainly() -> None:
    assert "tier -" in news(None, told("queued", None), 0.0)[0]
    assert news(told("queued"), told("queued"), 9.0) == []


@given(st.lists(st.integers(), unique=True, max_size=40), st.integers(1, 10), st.data())
def test_of_a_sliding_list_each_action_is_shown_once(actions: list[int], window: int, data: st.DataObject) -> None:
    shown, before, reached = [], None, 0
    while reached < len(actions):
        reached += data.draw(st.integers(1, window))
        now = told("agent", recent_actions=[str(one) for one in actions[:reached][-window:]])
        shown += [line.strip() for line in news(before, now, 0.0) if "tier" not in line]
        before = now
    assert shown == [str(one) for one in actions]


def test_a_run_that_ended_without_a_pull_request_came_to_nothing() -> None:
    assert [phase for phase in ("awaiting_review", "merged", "waiting", "agent", "escalated", "blocked", "cancelled")
            if fruitless(told(phase))] == ["escalated", "blocked", "cancelled"]  # fmt: skip
