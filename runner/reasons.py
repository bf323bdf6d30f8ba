"""Why a round ended or waits: one or two short sentences, fit to be read on a phone, each with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from gates.text import clean, usd
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner.endings import WATCHDOGS
from runner.facts import AgentEnded
from runner.model import Ending, Tier

MAX_REASON_CHARS: Final = 400
_MAX_QUOTE_CHARS: Final = 160

CANCELLED: Final = "Cancelled."
HALTED: Final = "Spending is halted; `mcp-ashigaru resume` lets it go on"
"""How the reason of a run begins that waits for the operator to let money be spent again."""

UNSEEN: Final = "The forge cannot be asked:"
"""How the reason of a run under review begins whose pull request cannot be looked at."""

_WAITING: Final = MappingProxyType(
    {
        Ending.REPO_BUDGET: "The repository's budget of the day is used up; ASHIGARU_REPO_DAY_MICRO_USD raises it",
        Ending.DAY_BUDGET: "The budget of the day is used up; ASHIGARU_DAY_MICRO_USD raises it",
        Ending.HALTED: HALTED,
        Ending.QUOTA: "The model API's quota is used up",
        Ending.OVERLOADED: "The model API is overloaded",
        Ending.AUTH: "The model API refused the credential; renew ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN",
        Ending.CREDIT: "The model account is out of credit; top it up",
        Ending.NETWORK: "The model API cannot be reached",
    }
)


def waiting(ending: Ending, tier: Tier) -> str:
    """Why a round waits for the model API."""
    return f"{_WAITING.get(ending, 'The model API is not available')}. It tries again by itself at tier {tier.name}."


def trouble(detail: str) -> str:
    """Why a round waits for the rest of the world."""
    return _told(f"Something outside is in the way: {_quote(detail)}. It tries again by itself.")


def of_the_round(reason: str | None) -> str:
    """Why a round came to nothing, of a run's reason: that the forge was away meanwhile is none of the round's."""
    return "the round changed nothing" if not reason or reason.startswith(UNSEEN) else reason


def unseen(detail: str) -> str:
    """Why what is said of a pull request may be old."""
    return _told(f"{UNSEEN} {_quote(detail)}. It is asked again by itself.")


def unasked(detail: str) -> str:
    """Why a run of a restored backup does not go on: what became of it since then cannot be seen."""
    return _told(f"Restored, and its repository does not show what became of it: {_quote(detail)}. It is asked again.")


def unasked_in_vain(detail: str) -> str:
    """Why nobody asks any more."""
    what = f"Restored, and its repository was not shown for a month: {_quote(detail)}"
    return _told(f"{what}. Put that right, see what became of its branch, then say retry.")


def watchdog(tier: Tier, ended: AgentEnded) -> str | None:
    """What is told of an agent that a watchdog stopped, in one sentence; None of any other."""
    if ended.ending not in WATCHDOGS:
        return None
    if ended.ending is Ending.STOPPED_AFTER_RESULT:
        return f"Tier {tier.name} said its result, stayed, and was stopped; its result counts."
    what = _quote(ended.detail.removeprefix("it "))
    return _told(f"Tier {tier.name} {what}; what it did until then goes to the gates.")


def misconfigured(ending: Ending, tier: Tier, detail: str) -> str:
    """Why a tier cannot work as it is set up."""
    if ending is Ending.MODEL_UNKNOWN:
        what = f"The model API does not know {tier.model}, the model of tier {tier.name}"
    else:
        what = f"The model API refuses requests for {tier.model} at effort {tier.effort} ({_quote(detail)})"
    return _told(f"{what}. Correct that tier in ASHIGARU_LADDER, then dispatch the ticket again.")


def retried_in_vain(tier: Tier, times: int, ending: Ending, detail: str) -> str:
    """Why an attempt is not tried once more."""
    why = _quote(detail) or ending.value
    return _told(f"The agent at tier {tier.name} broke down {times} times, at last so: {why}. Look at the host's log.")


def base_red(summary: str, branch: str) -> str:
    """Why nothing is worked on a red base."""
    return _told(f"The base is red: {_quote(summary)}. Repair {branch}, then dispatch the ticket again.")


def base_unjudged(why: str) -> str:
    """Why nothing is worked on a base that no gate can judge."""
    return _told(f"The gates could not judge the base: {_quote(why)}. Repair the gate's set-up, then dispatch again.")


def head_unjudged(why: str) -> str:
    """Why work that no gate could judge goes to a person."""
    return _told(f"The gates could not judge the work: {_quote(why)}. Look at the gate's set-up.")


def refused(tier: Tier, refusals: Sequence[str]) -> str:
    """Why changes are not taken."""
    first = _quote(refusals[0]) if refusals else "no reason was given"
    more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
    return _told(
        f"The policy refuses what tier {tier.name} changed: {first}{more}. Say in the brief what to leave alone."
    )


def nothing_changed(tier: Tier, stuck_at: str = "") -> str:
    """What a tier did that did nothing. stuck_at: what a watchdog stopped it for."""
    return f"Tier {tier.name} changed nothing{_stopped(stuck_at)}"


def gate_said_no(tier: Tier, summary: str, stuck_at: str = "") -> str:
    """What the gates said of a tier's work. stuck_at: what a watchdog stopped it for."""
    return f"The gates refuse the work of tier {tier.name}: {_quote(summary)}{_stopped(stuck_at)}"


def no_dearer_tier(reason: str) -> str:
    """Why nobody climbs from the last rung."""
    return _told(f"{reason}, and no dearer tier is left. A person has to look.")


def no_money(reason: str, micro_usd: int) -> str:
    """Why nobody climbs without money."""
    return _told(f"{reason}, and the run's {usd(micro_usd)} are used up. A person has to look.")


def unworkable(reason: str) -> str:
    """Why a run cannot go on, as the step that found out said it."""
    return _told(f"{clean(reason, 300).rstrip('.')}.")


def published(pull: int, verdict: Verdict) -> str:
    """What awaits review."""
    match verdict:
        case NeedsHuman(findings=findings, summary=summary):
            finding = findings[0] if findings else summary
            return _told(
                f"Pull request #{pull} is open, and something in it is for a person to decide: {_quote(finding)}."
            )
        case Unjudged():
            return _told(f"Pull request #{pull} is open as a draft: no gate judged it here, its CI decides.")
        case Passed(summary=summary) | Failed(summary=summary) | Inconclusive(reason=summary):
            return _told(f"Pull request #{pull} is open: {_quote(summary)}.")


def rejudged(verdict: Verdict, branch: str) -> str:
    """What the gates say of the branch merged with today's base."""
    match verdict:
        case Passed(summary=summary):
            return _told(f"The work merged with today's {branch} passes: {_quote(summary)}. Promote it.")
        case NeedsHuman(summary=summary):
            return _told(f"The work merged with today's {branch} passes, for a person to decide: {_quote(summary)}.")
        case Failed(summary=summary):
            return _told(f"The gates refuse the work merged with today's {branch}: {_quote(summary)}. Ask for changes.")
        case Unjudged():
            return _told(f"The work merged with today's {branch} is left to CI.")
        case Inconclusive(reason=why):
            return _told(f"The gates could not judge the work merged with today's {branch}: {_quote(why)}.")


def saved(commit: str | None, branch: str) -> str:
    """Where the work is kept."""
    return "There was no work to keep." if commit is None else f"The work so far is on branch {branch}."


def not_saved(why: str) -> str:
    """That the work is not kept where it should be."""
    return f"The work could not be put on a branch: {_quote(why)}."


def joined(first: str, second: str) -> str:
    """Two reasons as one text; the second is never the one that is cut."""
    return f"{clean(first, MAX_REASON_CHARS - len(second) - 1)} {second}"


def _stopped(stuck_at: str) -> str:
    return f" ({_quote(stuck_at)})" if stuck_at else ""


def _quote(text: str) -> str:
    return clean(text, _MAX_QUOTE_CHARS).rstrip(".")


def _told(text: str) -> str:
    return clean(text, MAX_REASON_CHARS)
