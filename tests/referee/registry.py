"""Every repository, every cheat and every honest change there is. A chapter is a module with a CHAPTER."""

from __future__ import annotations

from tests.referee import (
    go_cheats,
    go_honest,
    make_cases,
    node_cheats,
    node_honest,
    python_asserts,
    python_config,
    python_exits,
    python_honest,
    python_nasty,
    python_reports,
    python_states,
    python_tests,
    rust_cheats,
    rust_honest,
)
from tests.referee.case import Cheat, Honest, Language, Repository

_CHAPTERS = (
    python_tests,
    python_exits,
    python_config,
    python_asserts,
    python_reports,
    python_states,
    python_nasty,
    make_cases,
    python_honest,
    node_cheats,
    node_honest,
    go_cheats,
    go_honest,
    rust_cheats,
    rust_honest,
)
REPOSITORIES: dict[str, Repository] = {one.name: one for chapter in _CHAPTERS for one in chapter.CHAPTER.repositories}
CHEATS: tuple[Cheat, ...] = tuple(one for chapter in _CHAPTERS for one in chapter.CHAPTER.cheats)
HONEST: tuple[Honest, ...] = tuple(one for chapter in _CHAPTERS for one in chapter.CHAPTER.honest)
GROUP_OF_HONEST = "honest"


def language_of(case: Cheat | Honest) -> Language:
    """The toolchain that a case needs."""
    return REPOSITORIES[case.repo].language


def group_of(case: Cheat | Honest) -> str:
    """The row of the table that a case counts in."""
    return case.group if isinstance(case, Cheat) else GROUP_OF_HONEST
