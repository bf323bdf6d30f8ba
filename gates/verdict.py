"""What a gate says of a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Passed:
    """Every required gate ran, and its evidence says that the tree is good.

    summary: one line for a person, for example "9 passed in 0.4 s". shown: what is worth a look and decides nothing,
    a line each.
    """

    summary: str
    shown: tuple[str, ...] = ()
    kind: Literal["passed"] = "passed"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A required gate ran and says no.

    summary: one line for a person. report: what a model needs to repair it, at most
    `gates.report.MAX_REPORT_BYTES` bytes of UTF-8 with no control characters.
    """

    summary: str
    report: str
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, kw_only=True)
class NeedsHuman:
    """The gates are green, but something in the evidence is for a person to decide: that is in findings.

    shown: what is worth a look beside it. side_by_side: tests that say one thing as the base has them and another as
    the change has them, at most `gates.differing.MAX_TEXT_BYTES` bytes of several lines; "" where there are none.
    """

    summary: str
    findings: tuple[str, ...]
    shown: tuple[str, ...] = ()
    side_by_side: str = ""
    kind: Literal["needs_human"] = "needs_human"


@dataclass(frozen=True, kw_only=True)
class Inconclusive:
    """The gate could not be made to say anything; that is never a reason to buy a dearer model."""

    reason: str
    kind: Literal["inconclusive"] = "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Unjudged:
    """No gate here judges this repository (`local = "none"`): only the forge's CI can vouch for a tree of it."""

    summary: str = "No gate judged this here; the repository leaves that to its CI."
    kind: Literal["unjudged"] = "unjudged"


Verdict: TypeAlias = Passed | Failed | NeedsHuman | Inconclusive | Unjudged
