"""What `status` says of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.digest import (
    MAX_ACTIONS,
    MAX_HEADLINE_CHARS,
    CheckSeen,
    Digest,
    NoticeSeen,
    PullSeen,
    RunView,
    TierTried,
    VerdictSeen,
    describe,
)
from runner.model import Phase

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
VIEW = RunView(
    run_id="widgets-7-abc",
    repo="widgets",
    issue=7,
    phase=Phase.AGENT,
    branch="ashigaru/7-abc",
    cursor=12,
    tier="opus",
    attempt=2,
    tiers_tried=(
        TierTried(
            tier="sonnet", attempt=1, model="claude-sonnet", ending="completed", verdict="failed", micro_usd=40_000
        ),
    ),
    recent_actions=("Read src/a.py", "Edit src/a.py"),
    verdicts=(VerdictSeen(what="head", tier="sonnet", outcome="failed", summary="1 failed, 8 passed"),),
    spent_micro_usd=420_000,
    budget_micro_usd=20_000_000,
)
PULL = PullSeen(number=3, url="http://forge/widgets/3", state="open")


def test_a_working_run_reads_in_one_breath() -> None:
    told = describe(VIEW)
    assert told.headline == (
        "widgets #7 is worked on by tier opus, attempt 2. Last: Edit src/a.py. "
        "The gates refused sonnet: 1 failed, 8 passed. $0.42 of $20.00 spent."
    )
    assert told.next == "When the agent has finished, its changes go to the gates."
    assert (told.phase, told.spent_usd, told.cursor) == ("agent", "$0.42", 12)


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_headline_and_a_next(phase: Phase) -> None:
    told = describe(replace(VIEW, phase=phase))
    assert told.headline.startswith("widgets #7 ")
    assert told.next.endswith(".")


def test_a_run_under_review_says_what_promote_will_do() -> None:
    view = replace(VIEW, phase=Phase.AWAITING_REVIEW, pull=PULL)
    assert PULL.url in describe(view).headline
    assert "promote merges exactly that head" in describe(view).next


def test_checks_come_before_promotion() -> None:
    view = replace(VIEW, phase=Phase.AWAITING_REVIEW, pull=PULL)
    assert describe(replace(view, phase=Phase.CI, ci="running")).next.startswith("When the checks are green")
    red = replace(view, ci="red", checks=(CheckSeen(name="ci", state="failed"),))
    assert describe(red).next.startswith("Check ci is red: look at it on the forge")
    assert describe(replace(view, ci="stalled")).next.startswith("CI has no green verdict")
    assert describe(replace(view, ci="green")).next.startswith("Review the pull request")


def test_what_follows_a_merge_is_told_until_the_base_is_green() -> None:
    merged = replace(VIEW, phase=Phase.MERGED)
    assert "followed" in describe(replace(merged, pipeline="running")).next
    assert "done" in describe(replace(merged, pipeline="none")).next
    assert "not green" in describe(replace(merged, pipeline="red")).next
    assert "is shipped" in describe(replace(merged, phase=Phase.SHIPPED, pipeline="green")).headline


def test_a_waiting_run_says_why_and_until_when() -> None:
    told = describe(replace(VIEW, phase=Phase.WAITING, reason="The model API's quota is used up.", retry_at=0.0))
    assert "quota is used up" in told.headline
    assert told.next == "It tries again by itself at 1970-01-01 00:00 UTC; cancel stops it."


def test_a_cancel_on_its_way_is_said() -> None:
    assert "being cancelled" in describe(replace(VIEW, cancel_requested=True)).next
    assert "being cancelled" not in describe(replace(VIEW, cancel_requested=True, phase=Phase.CANCELLED)).next


def test_an_escalated_run_names_the_branch() -> None:
    assert VIEW.branch in describe(replace(VIEW, phase=Phase.ESCALATED)).next


anything = st.text(st.sampled_from("ab \n\x1b\u202e\u200b漢"), max_size=30) | st.just("long " * 500)


def test_what_a_watchdog_did_is_told_while_the_run_is_worked_on() -> None:
    stopped = NoticeSeen(kind="watchdog", text='Tier sonnet repeated "Read a.py" and was stopped.', at=5.0)
    told = describe(replace(VIEW, notices=(stopped,)))
    assert stopped.text in told.headline
    assert "Last: Edit src/a.py." in told.headline
    assert [one.text for one in told.notices] == [stopped.text]
    assert stopped.text not in describe(replace(VIEW, notices=(stopped,), phase=Phase.AWAITING_REVIEW)).headline


@calm
@given(
    st.sampled_from(Phase),
    st.none() | anything,
    st.lists(anything, max_size=30),
    anything,
    st.none() | st.floats(),
)
def test_a_digest_is_bounded_and_hides_nothing(
    phase: Phase, reason: str | None, actions: list[str], said: str, retry_at: float | None
) -> None:
    verdict = VerdictSeen(what="head", tier=None, outcome="failed", summary=said)
    view = replace(
        VIEW,
        phase=phase,
        reason=reason,
        recent_actions=tuple(actions),
        verdicts=(verdict,) * 50,
        retry_at=retry_at,
        pull=PULL,
        tier=said,
    )
    told = describe(view)
    assert len(told.headline) <= MAX_HEADLINE_CHARS
    assert told.headline.isprintable()
    assert told.next.isprintable()
    assert len(told.recent_actions) <= MAX_ACTIONS
    assert all(action.isprintable() for action in told.recent_actions)
    assert Digest.model_validate_json(told.model_dump_json()) == told
    assert describe(view) == told
