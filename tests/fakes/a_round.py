"""A round, and facts that may happen in it."""

from __future__ import annotations

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed
from runner.facts import (
    AgentEnded,
    BaseJudged,
    Prepared,
    Trouble,
)
from runner.model import Bounds, Candidate, Ending, RoundInput, Tier

LADDER = tuple(
    Tier(name=name, model=f"claude-{name}", effort="medium", max_turns=30, max_micro_usd=10**6, wall_s=900, idle_s=90)
    for name in ("sonnet", "opus", "opus-high")
)
INPUT = RoundInput(
    run_id="widgets-7-abc",
    number=1,
    repo="widgets",
    issue=7,
    brief="Parse hours.",
    base_branch="main",
    branch="ashigaru/7-abc",
    ladder=LADDER,
    bounds=Bounds(),
)
BASE = "b" * 40
C1 = Candidate(commit="1" * 40, tree="a1")
C2 = Candidate(commit="2" * 40, tree="a2")
GREEN = Passed(summary="9 passed")
RED = Failed(summary="1 failed, 8 passed", report="test_minutes: 5 is not 6")
DOUBT = NeedsHuman(summary="9 passed", findings=("a test changed",))
UNSURE = Inconclusive(reason="the image is broken")

PREPARED = Prepared(base_sha=BASE)
DONE = AgentEnded(ending=Ending.COMPLETED)
BASE_GREEN = BaseJudged(verdict=GREEN)

LONG = "d\x1b[0m" * 999
TROUBLE = Trouble(detail="the forge did not answer", retry_after_s=30.0)
