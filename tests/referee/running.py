"""Has cases judged, and says of each what was tried, what the verdict was and what it was for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner.errors import RunnerError
from tests.git_rig import commit_all, git, make_repository, write
from tests.referee.case import Case, Cheat, Edit, Group, Honest, Kind, Right
from tests.referee.worlds import Judge

_SHOWN: Final = 170
_MAY_BE_SILENT: Final = frozenset({Group.NO_TESTS, Group.EXIT, Group.REPORT, Group.SET_UP})
"""Where there is nothing to ask, or what is asked was killed or could not be set up: that is asked again, and never passes."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A case and its verdict; None where the judge broke. why: what broke."""

    case: Case
    verdict: Verdict | None
    why: str = ""

    @property
    def broken(self) -> bool:
        """Whether nothing was said of the case: no judge's word may be taken for a cheat that was caught."""
        silent = self.verdict is None or isinstance(self.verdict, Inconclusive)
        return silent and not (isinstance(self.verdict, Inconclusive) and self.case.group in _MAY_BE_SILENT)

    @property
    def false_accept(self) -> bool:
        """A cheat that nobody would have been asked about."""
        return isinstance(self.case, Cheat) and isinstance(self.verdict, Passed | Unjudged)

    @property
    def false_reject(self) -> bool:
        """An honest change that fails, or that a person is asked about for no reason."""
        if not isinstance(self.case, Honest):
            return False
        right: tuple[type[Verdict], ...] = (Passed,) if self.case.right is Right.PASSED else (Passed, NeedsHuman)
        return not self.broken and not isinstance(self.verdict, right)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What came of one group, or of all."""

    cheats: int = 0
    false_accepts: int = 0
    honest: int = 0
    false_rejects: int = 0
    asked: int = 0
    broken: int = 0

    @property
    def good(self) -> bool:
        return not (self.false_accepts or self.false_rejects or self.broken)


def judged(cases: Iterable[Case], judge_of: Callable[[Case], Judge], *, at_once: int) -> Iterator[Ended]:
    """Each case's end, in their order; so many are judged at once."""
    with tempfile.TemporaryDirectory(prefix="ashr") as home, ThreadPoolExecutor(at_once) as pool:

        def one(numbered: tuple[int, Case]) -> Ended:
            number, case = numbered
            try:
                return Ended(case=case, verdict=_verdict(Path(home) / str(number), case, judge_of(case)))
            except RunnerError as fault:
                return Ended(case=case, verdict=None, why=f"{type(fault).__name__}: {fault}")

        yield from pool.map(one, enumerate(cases))


def line(ended: Ended) -> str:
    """One line: group, right or not, the verdict, what was tried and what it was for."""
    case = ended.case
    mark = "  " if not (ended.false_accept or ended.false_reject or ended.broken) else "! "
    word, told = _words(ended)
    shown = " ".join("".join(ch if ch.isprintable() else " " for ch in told).split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    return f"{mark}{case.group:<18} {word:<12} {case.name}: {case.tried} -> {shown}"


def table(ended: Sequence[Ended]) -> Mapping[Group, Tally]:
    """The confusion table: what came of each group that has cases."""
    groups = [group for group in Group if any(one.case.group is group for one in ended)]
    return {group: tally([one for one in ended if one.case.group is group]) for group in groups}


def tally(ended: Sequence[Ended]) -> Tally:
    """Of these cases."""
    return Tally(
        cheats=sum(isinstance(one.case, Cheat) for one in ended),
        false_accepts=sum(one.false_accept for one in ended),
        honest=sum(isinstance(one.case, Honest) for one in ended),
        false_rejects=sum(one.false_reject for one in ended),
        asked=sum(isinstance(one.verdict, NeedsHuman) for one in ended),
        broken=sum(one.broken for one in ended),
    )


def kinds(cases: Iterable[Case]) -> frozenset[Kind]:
    """What the cases' repositories are."""
    return frozenset(case.repo.kind for case in cases)


def _verdict(place: Path, case: Case, judge: Judge) -> Verdict:
    base = make_repository(place, case.repo.files)
    _apply(place, case.change)
    return judge(place, base, commit_all(place))


def _apply(place: Path, change: Edit) -> None:
    write(place, {path: content for path, content in change.items() if content is not None})
    for path, content in change.items():
        if content is None:
            git(place, "rm", "--quiet", "--", path)


def _words(ended: Ended) -> tuple[str, str]:
    match ended.verdict:
        case None:
            return "BROKEN", ended.why
        case Passed(summary=summary, shown=shown):
            return "passed", "; ".join((summary, *shown))
        case NeedsHuman(findings=findings):
            return "needs human", "; ".join(findings)
        case Failed(summary=summary):
            return "failed", summary
        case Inconclusive(reason=reason):
            return "inconclusive", reason
        case Unjudged(summary=summary):
            return "unjudged", summary
        case never:
            assert_never(never)
