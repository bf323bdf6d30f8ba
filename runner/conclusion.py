"""How an agent execution ended, judged from its stream, its exit, our clocks and the upstream's last word. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gates.text import clean
from runner.agent_events import MAX_SUMMARY_CHARS
from runner.facts import AgentEnded
from runner.model import Ending
from runner.stuck import Circle, in_words
from runner.transcript import Result, Transcript


class Stopped(StrEnum):
    """Why the harness itself stopped the agent."""

    IDLE = "idle"
    WALL = "wall"
    GRACE = "grace"
    REPEATED = "repeated"
    ALTERNATING = "alternating"
    NO_EDITS = "no_edits"
    CANCEL = "cancel"
    BUDGET = "budget"
    REPO_BUDGET = "repo_budget"
    DAY_BUDGET = "day_budget"
    HALT = "halt"
    DISK = "disk"


@dataclass(frozen=True, kw_only=True)
class ExitReport:
    """How the process went, as the entrypoint and the container engine tell it.

    code: its exit status, None where a signal ended it. reason: the entrypoint's word, "grace" when it had to end a
    process that would not leave after its result. oom: the kernel killed it for memory.
    """

    code: int | None = None
    signal: int | None = None
    reason: str | None = None
    oom: bool = False


@dataclass(frozen=True, kw_only=True)
class UpstreamFailure:
    """The model API's last failure that no answer followed. status None: it did not answer at all.

    type: the API's own word, such as "rate_limit_error". retry_at: UTC seconds, where it named a time.
    """

    status: int | None
    type: str = ""
    retry_at: float | None = None


_BY_ERROR: Final = {
    "billing_error": Ending.CREDIT,
    "authentication_failed": Ending.AUTH,
    "authentication_error": Ending.AUTH,
    "permission_error": Ending.AUTH,
    "rate_limit": Ending.QUOTA,
    "rate_limit_error": Ending.QUOTA,
    "overloaded_error": Ending.OVERLOADED,
    "model_not_found": Ending.MODEL_UNKNOWN,
    "not_found_error": Ending.MODEL_UNKNOWN,
    "request_too_large": Ending.PROMPT_TOO_LONG,
}
_BY_STATUS: Final = {
    401: Ending.AUTH,
    402: Ending.CREDIT,
    403: Ending.AUTH,
    404: Ending.MODEL_UNKNOWN,
    408: Ending.NETWORK,
    413: Ending.PROMPT_TOO_LONG,
    429: Ending.QUOTA,
}
_BY_REASON: Final = {
    "max_turns": Ending.MAX_TURNS,
    "budget_exhausted": Ending.TIER_BUDGET,
    "prompt_too_long": Ending.PROMPT_TOO_LONG,
}
_REFUSALS: Final = frozenset({Stopped.REPO_BUDGET, Stopped.DAY_BUDGET, Stopped.HALT})
_CIRCLES: Final = {
    Stopped.REPEATED: Ending.REPEATED_CALL,
    Stopped.ALTERNATING: Ending.ALTERNATING_CALLS,
    Stopped.NO_EDITS: Ending.NO_EDITS,
}
_STOPPED: Final = {
    Stopped.BUDGET: (Ending.RUN_BUDGET, "the run's money is used up"),
    Stopped.REPO_BUDGET: (Ending.REPO_BUDGET, "the repository's money of the day is used up"),
    Stopped.DAY_BUDGET: (Ending.DAY_BUDGET, "the money of the day is used up"),
    Stopped.HALT: (Ending.HALTED, "all spending is halted"),
    Stopped.DISK: (Ending.DISK_LIMIT, "it used more of the disk than it may and was stopped"),
    Stopped.CANCEL: (Ending.KILLED, "it was cancelled"),
    Stopped.GRACE: (Ending.KILLED, "it was stopped, and there is no result"),
    Stopped.IDLE: (Ending.IDLE_TIMEOUT, "it did nothing for too long and was stopped"),
    Stopped.WALL: (Ending.WALL_TIMEOUT, "its time was up and it was stopped"),
}
_KILLED_CODES: Final = frozenset({129, 130, 137, 143})


def conclude(
    transcript: Transcript,
    exit_report: ExitReport | None,
    stopped: Stopped | None = None,
    upstream: UpstreamFailure | None = None,
) -> AgentEnded:
    """Name the ending. exit_report None: the sandbox is gone and left no word of its exit.

    Success is exactly one result event that is no error, is "completed" and has a turn, from a process that exited 0,
    or that had to be stopped because it stayed after saying so, which is an ending of its own. A clock of ours that
    stopped an agent while the API failed it is the API's trouble, not the agent's.
    """
    if transcript.results > 1:
        return _ended(Ending.UNREADABLE, f"{transcript.results} results came where one is right")
    result = transcript.result
    # A process that has said its result and then will not leave has done its work all the same.
    stayed = stopped is Stopped.GRACE or (exit_report is not None and exit_report.reason == "grace")
    left = exit_report is not None and exit_report.code == 0
    if result is not None and _succeeded(result, at_end=left or stayed):
        finished = Ending.COMPLETED if left else Ending.STOPPED_AFTER_RESULT
        return _ended(Ending.REFUSED if result.safety_stops else finished, clean(result.text, MAX_SUMMARY_CHARS))
    if stopped is Stopped.GRACE and result is not None:
        return _by_exit(transcript, exit_report or ExitReport(reason="grace"), upstream)
    if stopped is not None and not (stopped in _REFUSALS and _had_its_say(result)):
        return _stopped_by_us(transcript, stopped, upstream)
    if exit_report is None:
        return _ended(Ending.VANISHED, "its sandbox is gone")
    if exit_report.oom:
        return _ended(Ending.OUT_OF_MEMORY, "the kernel killed it for memory")
    return _by_exit(transcript, exit_report, upstream)


def _stopped_by_us(transcript: Transcript, stopped: Stopped, upstream: UpstreamFailure | None) -> AgentEnded:
    if stopped in {Stopped.IDLE, Stopped.WALL} and (upstream is not None or transcript.retrying):
        return _failed_by_api(transcript, upstream, "the model API did not answer until the clock ran out")
    if stopped in _CIRCLES:
        circle = Circle(stopped.value)
        return _ended(_CIRCLES[stopped], f"it {in_words(circle, transcript.moves)} and was stopped")
    return _ended(*_STOPPED[stopped])


def _had_its_say(result: Result | None) -> bool:
    """It ended for a reason of its own, whatever would be refused to it now."""
    return result is not None and result.terminal_reason in _BY_REASON


def _succeeded(result: Result, *, at_end: bool) -> bool:
    return at_end and not result.is_error and result.terminal_reason == "completed" and result.num_turns >= 1


def _by_exit(transcript: Transcript, exit_report: ExitReport, upstream: UpstreamFailure | None) -> AgentEnded:
    result = transcript.result
    if result is None:
        return _without_result(transcript, exit_report)
    if result.terminal_reason == "api_error":
        return _failed_by_api(transcript, upstream, clean(result.text, MAX_SUMMARY_CHARS))
    if result.terminal_reason in _BY_REASON:
        return _ended(_BY_REASON[result.terminal_reason], clean(result.text, MAX_SUMMARY_CHARS))
    if result.num_turns == 0:
        lost = result.subtype == "error_during_execution"
        return _ended(Ending.SESSION_LOST if lost else Ending.NO_TURNS, clean(result.text, MAX_SUMMARY_CHARS))
    if _was_killed(exit_report):
        return _ended(Ending.KILLED, f"{_exit_words(exit_report)} after its result")
    return _ended(Ending.UNREADABLE, f"a result of kind {result.subtype or 'none'} with {_exit_words(exit_report)}")


def _without_result(transcript: Transcript, exit_report: ExitReport) -> AgentEnded:
    words = _exit_words(exit_report)
    if exit_report.code == 1 and transcript.lines == 0:
        return _ended(Ending.SESSION_LOST, "it would not start: exit status 1 without a word")
    # The CLI exits 0 without a result when it is interrupted.
    if _was_killed(exit_report) or exit_report.code == 0:
        return _ended(Ending.KILLED, f"{words} without a result")
    return _ended(Ending.UNREADABLE, f"{words} without a result")


def _failed_by_api(transcript: Transcript, upstream: UpstreamFailure | None, detail: str) -> AgentEnded:
    result = transcript.result
    status = transcript.retry_status
    error = transcript.api_error or ""
    if result is not None:
        status = result.api_error_status
    if upstream is not None and (result is None or status in {None, upstream.status}):
        # An answer that breaks down in its middle has no status that the CLI could tell of; the gateway saw why. Of one
        # that failed as a whole it saw the API's own word, and one status stands for several.
        status, error = upstream.status, upstream.type or error
    ending = _api_ending(status, error)
    retry_at = None
    if ending is Ending.QUOTA:
        named = None if upstream is None else upstream.retry_at
        retry_at = named if named is not None else transcript.retry_at
    return _ended(ending, detail, retry_at)


def _api_ending(status: int | None, error: str) -> Ending:
    if error in _BY_ERROR:
        return _BY_ERROR[error]
    if status is None:
        return Ending.NETWORK
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Ending.OVERLOADED if status >= 500 else Ending.BAD_REQUEST


def _was_killed(exit_report: ExitReport) -> bool:
    return exit_report.signal is not None or exit_report.code in _KILLED_CODES


def _exit_words(exit_report: ExitReport) -> str:
    if exit_report.signal is not None:
        return f"signal {exit_report.signal}"
    return "no exit status" if exit_report.code is None else f"exit status {exit_report.code}"


def _ended(ending: Ending, detail: str, retry_at: float | None = None) -> AgentEnded:
    return AgentEnded(ending=ending, detail=clean(detail, 300), retry_at=retry_at)
