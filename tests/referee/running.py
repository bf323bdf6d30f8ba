"""Has cases judged, several at once, and says of each how that ended and whether it should have ended so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from gates.findings import FindingKind
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict
from mcp_ashigaru.judging_here import Judged, JudgeHere
from runner.errors import NotPossible, RunnerError
from tests.git_rig import commit_all, git, make_repository, write
from tests.referee.case import Change, Cheat, Honest, Repository

_SHOWN: Final = 170
_WORDS: Final[Mapping[FindingKind, str]] = {
    FindingKind.TESTS_GONE: "ran on the base did not run",
    FindingKind.NEWLY_SKIPPED: "skipped than on the base",
    FindingKind.TESTS_CHANGED: "the base's own tests are red",
    FindingKind.TESTS_EDITED: "tests that the base has were edited",
    FindingKind.RUNNER_CHANGED: "how tests are run was changed",
    FindingKind.INLINE_TESTS: "tests that stand in this source file were edited",
    FindingKind.ASSERTIONS_GONE: "fewer than on the base",
    FindingKind.INSTALLED_CHANGED: "what is installed for the change is not",
    FindingKind.FLAKY: "failed and passed on the same tree",
}
"""What the sentence of a finding has, as a person reads it."""


class Word(StrEnum):
    """How a case ended, beside how it should have."""

    CAUGHT = "caught"
    FALSE_ACCEPT = "ACCEPTED"
    TAKEN = "taken"
    FALSE_REJECT = "REJECTED"
    BROKEN = "BROKEN"
    """It could not be judged at all: nothing is shown by it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A case and how it ended. verdict: the word for it, "blocked" where nothing was judged. by: its words."""

    case: Cheat | Honest
    word: Word
    verdict: str
    by: str

    @property
    def held(self) -> bool:
        """Whether it ended as it should."""
        return self.word in {Word.CAUGHT, Word.TAKEN}


def judged(
    judge: JudgeHere, cases: Sequence[Cheat | Honest], repositories: Mapping[str, Repository], home: Path, width: int
) -> Iterator[Ended]:
    """Each case in turn, `width` of them at once. home: an empty directory for the repositories."""
    wanted = [(case, *_branch(home, repositories[case.repo], number, case)) for number, case in enumerate(cases)]
    with ThreadPoolExecutor(max_workers=width, thread_name_prefix="case") as pool:
        doing = [
            pool.submit(ended_of, judge, case, place, branch, green=repositories[case.repo].green)
            for case, place, branch in wanted
        ]
        try:
            for one in doing:
                yield one.result()
        finally:
            # Who is interrupted does not wait for what has not begun.
            pool.shutdown(wait=False, cancel_futures=True)


def laid_out(place: Path, files: Mapping[str, str], change: Change) -> None:
    """Have the tree of that change to those files below `place`."""
    write(place, {path: text for path, text in {**files, **change}.items() if text is not None})


def _branch(home: Path, repository: Repository, number: int, case: Cheat | Honest) -> tuple[Path, str]:
    """A branch of its own in the case's repository, which all of its cases share: its base is judged once."""
    place, branch = home / repository.name, f"change-{number}"
    if not place.exists():
        make_repository(place, repository.files)
    git(place, "checkout", "--quiet", "-b", branch, "main")
    for path in (path for path, text in case.change.items() if text is None):
        (place / path).unlink()
    brought = {path: text for path, text in case.change.items() if text is not None}
    write(place, brought)
    for path in (path for path, text in brought.items() if text[:2] in {"#!", b"#!"}):
        (place / path).chmod(0o755)
    commit_all(place, "change")
    git(place, "checkout", "--quiet", "main")
    return place, branch


def ended_of(judge: JudgeHere, case: Cheat | Honest, place: Path, branch: str, *, green: bool) -> Ended:
    """How the case ends whose change is that branch. green: its base is; if it turns out not to be, nothing is shown."""
    try:
        judged_here = _asked(judge, place, branch)
        verdict = judged_here.verdict
    except NotPossible as fault:
        word = Word.CAUGHT if isinstance(case, Cheat) else Word.FALSE_REJECT
        return Ended(case=case, word=word, verdict="blocked", by=str(fault))
    except (RunnerError, OSError) as fault:
        return Ended(case=case, word=Word.BROKEN, verdict="none", by=f"{type(fault).__name__}: {fault}")
    told, wanted = _told(verdict), wanted_words(case)
    word = Word.BROKEN if green and judged_here.head is None else word_of(case, verdict)
    if wanted and wanted not in told:
        told = f"{wanted!r} was to be told; {told}"
    return Ended(case=case, word=word, verdict=_name(verdict), by=told)


def wanted_words(case: Cheat | Honest) -> str:
    """The words that the verdict has to have; "" where any will do."""
    if isinstance(case, Cheat):
        return case.told
    return "" if case.expected is None else _WORDS[case.expected]


def _asked(judge: JudgeHere, place: Path, branch: str) -> Judged:
    """The judge's word; asked for again where there was none, for others may be at work on the same podman."""
    try:
        return judge(place, "main", branch)
    except NotPossible:
        raise
    except (RunnerError, OSError):
        return judge(place, "main", branch)


def word_of(case: Cheat | Honest, verdict: Verdict) -> Word:
    """Whether it should have ended so. A cheat is caught by red, or by a person who is told why to look."""
    if isinstance(case, Cheat):
        caught = isinstance(verdict, Failed | Inconclusive) or (isinstance(verdict, NeedsHuman) and verdict.findings)
        return Word.CAUGHT if caught and case.told in _told(verdict) else Word.FALSE_ACCEPT
    if case.expected is None:
        return Word.TAKEN if isinstance(verdict, Passed) else Word.FALSE_REJECT
    named = isinstance(verdict, NeedsHuman) and any(_WORDS[case.expected] in one for one in verdict.findings)
    return Word.TAKEN if named else Word.FALSE_REJECT


def _name(verdict: Verdict) -> str:
    match verdict:
        case Passed():
            return "passed"
        case NeedsHuman():
            return "needs human"
        case Failed():
            return "failed"
        case Inconclusive():
            return "inconclusive"
    return "unjudged"


def _told(verdict: Verdict) -> str:
    match verdict:
        case Failed(summary=summary):
            return summary
        case NeedsHuman(findings=findings):
            return "; ".join(findings)
        case Inconclusive(reason=reason):
            return reason
        case Passed(summary=summary, shown=shown):
            return "; ".join((summary, *shown))
    return ""


def line(ended: Ended) -> str:
    """One line of the table: what was tried, the verdict, and what caught it."""
    case = ended.case
    group = case.group if isinstance(case, Cheat) else "honest"
    return f"{ended.word:<8}  {ended.verdict:<12}  {group}: {case.name} ({case.repo}) -> {_one_line(ended.by)}"


def table(ended: Iterable[Ended]) -> tuple[str, ...]:
    """How many of each group ended how."""
    rows: dict[str, list[Ended]] = {}
    for one in ended:
        rows.setdefault(one.case.group if isinstance(one.case, Cheat) else "honest", []).append(one)
    verdicts = ("failed", "needs human", "inconclusive", "blocked", "passed", "none")
    head = f"{'':<24}{'cases':>6}" + "".join(f"{name:>13}" for name in verdicts) + f"{'wrong':>7}"
    return (
        head,
        *(
            f"{group:<24}{len(of):>6}"
            + "".join(f"{sum(one.verdict == name for one in of):>13}" for name in verdicts)
            + f"{sum(not one.held for one in of):>7}"
            for group, of in rows.items()
        ),
    )


def _one_line(text: str) -> str:
    shown = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
