"""Tests that say one thing as the base has them and another as the change has them, side by side for a person. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Final

from gates.evidence import RED, Case, CaseOutcome, JUnit
from gates.text import clean, clip, plain

MAX_TEXT_BYTES: Final = 8192
MAX_TOLD: Final = 20
_MAX_CASES: Final = 12
_MAX_MESSAGE: Final = 300
_MAX_DIFF_LINES: Final = 2000
_DIFF_BYTES: Final = 1600
_GRAVITY: Final = (CaseOutcome.PASSED, CaseOutcome.SKIPPED, CaseOutcome.ERROR, CaseOutcome.FAILED)
_WORDS: Final[Mapping[CaseOutcome, str]] = {
    CaseOutcome.PASSED: "passes",
    CaseOutcome.SKIPPED: "is skipped",
    CaseOutcome.FAILED: "fails",
    CaseOutcome.ERROR: "cannot be carried out",
}


@dataclass(frozen=True, kw_only=True)
class Differing:
    """told: a line for each test, at most MAX_TOLD. text: the same with messages and edits, at most MAX_TEXT_BYTES.

    Nothing hidden is in either; text has lines, and is not safe as Markdown.
    """

    told: tuple[str, ...]
    text: str


def differing(own: JUnit, base: JUnit, edited: Mapping[str, tuple[bytes | None, bytes | None]]) -> Differing:
    """What the two reports on one source say differently. own: with the change's tests; base: with the base's.

    edited: the test files that differ, path to their content at the base and in the change; None where there is none.
    Only tests that the base's report tells of are compared: a test that is new has nothing to differ from.
    """
    with_own = _worst(own)
    pairs = [(was, with_own.get(name)) for name, was in _worst(base).items() if _differ(was, with_own.get(name))]
    pairs.sort(key=lambda pair: (pair[0].outcome not in RED, pair[0].full_name))
    told = tuple(_line(was, now) for was, now in pairs)
    if not told:
        return Differing(told=(), text="")
    parts = [
        f"{line}\n{said}" if (said := _said(was)) else line
        for line, (was, _) in zip(told[:_MAX_CASES], pairs[:_MAX_CASES], strict=True)
    ]
    if len(told) > _MAX_CASES:
        parts.append(f"... and {len(told) - _MAX_CASES} more differ.")
    parts += [_diff(path, *edited[path]) for path in sorted(edited)[:_MAX_CASES]]
    return Differing(told=told[:MAX_TOLD], text=clip("\n\n".join(part for part in parts if part), MAX_TEXT_BYTES))


def _worst(report: JUnit) -> dict[str, Case]:
    """Each name's gravest ending: two tests may bear one name."""
    worst: dict[str, Case] = {}
    for case in report.cases:
        known = worst.get(case.full_name)
        if known is None or _GRAVITY.index(case.outcome) > _GRAVITY.index(known.outcome):
            worst[case.full_name] = case
    return worst


def _differ(was: Case, now: Case | None) -> bool:
    return now is None or (was.outcome is not now.outcome and not (was.outcome in RED and now.outcome in RED))


def _line(was: Case, now: Case | None) -> str:
    here = "is not there" if now is None else _WORDS[now.outcome]
    return f"{clean(was.full_name, 200)}: as the base has it, it {_WORDS[was.outcome]}; as the change has it, it {here}"


def _said(was: Case) -> str:
    return f"  the base's says: {clean(was.message or was.detail, _MAX_MESSAGE)}" if was.message or was.detail else ""


def _diff(path: str, old: bytes | None, new: bytes | None) -> str:
    before, after = (_lines(data) for data in (old, new))
    whole = "\n".join(unified_diff(before, after, "the base's", "the change's", lineterm="", n=1))
    return clip(f"{clean(path, 200)}\n{whole}", _DIFF_BYTES) if whole else ""


def _lines(data: bytes | None) -> list[str]:
    text = plain((data or b"")[: 64 * _MAX_DIFF_LINES].decode("utf-8", "replace"), keep_newlines=True)
    return text.split("\n")[:_MAX_DIFF_LINES] if text else []
