"""What a forge's checks say of a commit, weighed by what the operator trusts. Pure.

Times are UTC seconds since the epoch.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gates.text import clean
from runner.model import Check, CheckState, RequiredCheck

OURS: Final = "ashigaru/"
"""Checks named so are our own; they tell what our gates said and never count as the forge's word."""
_MAX_NAMED: Final = 5
_NAME_CHARS: Final = 60


class CiState(StrEnum):
    """Where the remote checks of a commit are, all of them together."""

    NONE_YET = "none_yet"
    """None has registered, and it is too early to say that none will."""
    RUNNING = "running"
    GREEN = "green"
    RED = "red"
    STALLED = "stalled"
    """One ended without a word on the change, or never ended: a person has to look."""
    MISSING = "missing"
    """One that is required never registered, or is reported by nobody that the operator trusts."""
    NONE = "none"
    """There is no CI here: nothing is required, and nothing registered in time."""


AWAITED: Final = frozenset({CiState.NONE_YET, CiState.RUNNING})
"""The states that time alone may change."""


@dataclass(frozen=True, kw_only=True)
class CiPolicy:
    """Whose checks count, and how long they are waited for.

    trusted: patterns of sources. workflows: patterns of workflow paths that count; empty: every workflow of a trusted
    source. grace_s: how long checks have to register. wait_s: how long they have to end.
    """

    trusted: tuple[str, ...]
    workflows: tuple[str, ...] = ()
    grace_s: float = 90.0
    wait_s: float = 6 * 3600.0

    def counts(self, check: Check) -> bool:
        """Whether the check is one to go by."""
        if check.name.startswith(OURS) or not _fits(check.source, self.trusted):
            return False
        return not (self.workflows and check.workflow) or _fits(check.workflow, self.workflows)


@dataclass(frozen=True, kw_only=True)
class Ci:
    """The weighed word. failed: the checks that say no. summary: one line for a person. counted: how many counted."""

    state: CiState
    summary: str
    failed: tuple[Check, ...] = ()
    counted: int = 0


def weigh(
    checks: Sequence[Check], required: Sequence[RequiredCheck], policy: CiPolicy, *, since: float, now: float
) -> Ci:
    """What the checks of a commit say that has been on the forge since `since`.

    Where the branch's protection requires checks, those decide and no others; else every trusted check does, and then
    green is not said before the grace period is over, for more checks may register.
    """
    trusted = [check for check in checks if policy.counts(check)]
    asked = [one for one in required if not one.name.startswith(OURS)]
    early, late = now - since < policy.grace_s, now - since >= policy.wait_s
    if not asked:
        deciding, missing = trusted, []
    else:
        deciding = [check for check in trusted if any(_answers(check, one) for one in asked)]
        missing = [one.name for one in asked if not any(_answers(check, one) for check in trusted)]
    return _weighed(deciding, missing, untrusted=len(checks) - len(trusted), early=early, late=late, named=bool(asked))


def _weighed(deciding: list[Check], missing: list[str], *, untrusted: int, early: bool, late: bool, named: bool) -> Ci:
    of = {state: [check for check in deciding if check.state is state] for state in CheckState}
    pending, failed = of[CheckState.PENDING], of[CheckState.FAILED]
    counted = len(deciding)
    if not deciding and not missing:
        if early:
            return Ci(state=CiState.NONE_YET, summary="No check has registered yet.")
        beside = f" ({untrusted} that do not count)" if untrusted else ""
        return Ci(state=CiState.NONE, summary=f"No check registered{beside}.")
    if pending and not late:
        of_all = f"{len(pending)} of {counted} checks still run: {_listed(pending)}."
        return Ci(state=CiState.RUNNING, summary=of_all, counted=counted)
    if failed:
        # Only when nothing runs any more: a round is told of everything that is wrong at once.
        what = f"{len(failed)} of {counted} checks failed: {_listed(failed)}."
        return Ci(state=CiState.RED, summary=what, failed=tuple(failed), counted=counted)
    if missing:
        names = ", ".join(clean(name, _NAME_CHARS) for name in missing[:_MAX_NAMED])
        if early:
            return Ci(state=CiState.NONE_YET, summary=f"Required and not registered yet: {names}.", counted=counted)
        why = "no source that the operator trusts reports it"
        return Ci(state=CiState.MISSING, summary=f"Required, and {why}: {names}.", counted=counted)
    if pending or of[CheckState.STALLED]:
        what = _listed(pending or of[CheckState.STALLED])
        return Ci(state=CiState.STALLED, summary=f"Ended without a verdict, or never ended: {what}.", counted=counted)
    if early and not named:
        return Ci(state=CiState.RUNNING, summary=f"{counted} checks passed; more may register.", counted=counted)
    return Ci(state=CiState.GREEN, summary=f"{counted} checks passed.", counted=counted)


def _answers(check: Check, required: RequiredCheck) -> bool:
    return check.name == required.name and required.source in {None, check.source}


def _fits(value: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


def _listed(checks: Sequence[Check]) -> str:
    names = ", ".join(clean(check.name, _NAME_CHARS) for check in checks[:_MAX_NAMED])
    return names if len(checks) <= _MAX_NAMED else f"{names} and {len(checks) - _MAX_NAMED} more"
