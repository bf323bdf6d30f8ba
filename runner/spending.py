"""What the model may cost: who may still ask, and what stands in the way. Pure, with the port that keeps the books.

Money is integer micro-dollars. A day is a UTC day, counted from the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from gates.text import clean, usd

DAY_S: Final = 86_400
WARN_AT: Final = 0.8
"""The part of a budget at which a person is told that it comes to its end."""


class Barrier(StrEnum):
    """What keeps a question from being asked."""

    HALTED = "halted"
    RUN = "run"
    REPO_DAY = "repo_day"
    DAY = "day"


@dataclass(frozen=True, kw_only=True)
class DayBudgets:
    """What a UTC day may cost: one repository's runs together, and all of them. 0: no bound."""

    repo_micro_usd: int = 0
    all_micro_usd: int = 0


@dataclass(frozen=True, kw_only=True)
class Halt:
    """Nothing may be spent since `at` (UTC seconds); reason is the operator's, "" where none was given."""

    reason: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Account:
    """One budget and what is gone of it. spent: settled. held: promised to questions that are under way."""

    barrier: Barrier
    bound: int
    spent: int
    held: int = 0

    @property
    def used_up(self) -> bool:
        """Nothing more may be asked, whatever becomes of what is under way."""
        return self.spent >= self.bound

    @property
    def near(self) -> bool:
        """It comes to its end: a person should know."""
        return self.spent >= self.bound * WARN_AT


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A question that wants to be asked. estimate: what it may cost at most; run_bound: the run's whole budget."""

    run_id: str
    attempt: int
    repo: str
    run_bound: int
    estimate: int


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """It may be asked; its estimate is on the books under `id` until it is settled."""

    id: int


@dataclass(frozen=True, kw_only=True)
class Busy:
    """What is left is held by questions under way: ask again when one of them is settled."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """It may not be asked."""

    barrier: Barrier


Admission: TypeAlias = Reserved | Busy | Refused


@dataclass(frozen=True, kw_only=True)
class Today:
    """What the day has cost so far, what is under way included, and whether spending is halted."""

    spent: int
    bound: int
    repo_spent: int = 0
    repo_bound: int = 0
    halt: Halt | None = None


def weigh(halt: Halt | None, accounts: tuple[Account, ...], estimate: int) -> Busy | Refused | None:
    """What stands in the way of a question; None: nothing does.

    Near the end of a budget questions are asked one at a time, so that one answer at most overshoots it.
    """
    if halt is not None:
        return Refused(barrier=Barrier.HALTED)
    for account in accounts:
        if account.used_up:
            return Refused(barrier=account.barrier)
    if any(account.held and account.spent + account.held + estimate > account.bound for account in accounts):
        return Busy()
    return None


def day_of(at: float) -> int:
    """The UTC day of a time."""
    return int(at // DAY_S)


def next_day_at(at: float) -> float:
    """When the UTC day after that of `at` begins."""
    return float((day_of(at) + 1) * DAY_S)


def warning(account: Account) -> str:
    """What a person is told of a budget that comes to its end."""
    whose = {
        Barrier.RUN: "The run's budget",
        Barrier.REPO_DAY: "The repository's budget of the day",
        Barrier.DAY: "The budget of the day",
    }.get(account.barrier, "The budget")
    setting = {Barrier.RUN: "run_micro_usd in ASHIGARU_BOUNDS", Barrier.REPO_DAY: "ASHIGARU_REPO_DAY_MICRO_USD"}.get(
        account.barrier, "ASHIGARU_DAY_MICRO_USD"
    )
    return f"{whose} comes to its end: {usd(account.spent)} of {usd(account.bound)} are spent; {setting} raises it."


def day_words(today: Today) -> str:
    """What the day has cost, and whether spending is halted: a sentence or two."""
    of = f" of {usd(today.bound)}" if today.bound else ""
    day = f"Today {usd(today.spent)}{of}."
    if today.halt is None:
        return day
    why = f": {clean(today.halt.reason, 120).rstrip('.')}" if today.halt.reason else ""
    return f"{day} All spending is halted{why}."


class Spending(Protocol):
    """The books. Called from any thread, each method one transaction; may raise RecordsFault.

    What is reserved counts as spent from then on, also where nobody comes back to settle it.
    """

    def reserve(self, asking: Asking) -> Admission:
        """Whether the question may be asked now, with its estimate on the books if it may."""

    def settle(self, reservation: int, micro_usd: int) -> None:
        """The question cost that much, in the place of its estimate. A second time changes nothing."""

    def barrier(self, repo: str, run_id: str | None = None, run_bound: int | None = None) -> Barrier | None:
        """What would refuse a question of that repository, and of that run where it is named, just now."""

    def today(self, repo: str | None = None) -> Today:
        """What the day has cost so far, and of it the repository."""

    def halt(self, reason: str) -> Halt:
        """Refuse every question from now on, in every daemon of these records. The first reason is kept."""

    def resume(self) -> bool:
        """Questions may be asked again; False where they might before."""

    def halted(self) -> Halt | None:
        """The halt there is."""

    def forfeit(self) -> int:
        """Count what this host's last process reserved and never settled as spent; how many questions they were."""
