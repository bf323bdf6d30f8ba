"""Every defence and every case there is."""

from __future__ import annotations

from tests.attack import in_sandbox, on_egress, on_gateway, on_git, on_policy, on_surface
from tests.attack.case import Case, Defence

CHAPTERS = (
    on_surface.CHAPTER,
    on_policy.CHAPTER,
    on_git.CHAPTER,
    on_gateway.CHAPTER,
    on_egress.CHAPTER,
    in_sandbox.CHAPTER,
)
DEFENCES: dict[str, Defence] = {defence.name: defence for chapter in CHAPTERS for defence in chapter.defences}
CASES: tuple[Case, ...] = tuple(case for chapter in CHAPTERS for case in chapter.cases)


def cases_of(defence: str) -> tuple[Case, ...]:
    """The cases that only that defence stops."""
    return tuple(case for case in CASES if case.defence == defence)
