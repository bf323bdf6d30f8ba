"""What git answers takes the memory of the answer, however long it may be."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import BareRepository
from tests.git_rig import commit_all, git, make_repository, write

_MOST_BYTES = 4 << 20
"""Far more than a few lines need, and far less than the 256 MiB that an answer may have."""


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    place = tmp_path / "widgets"
    make_repository(place, {"a.txt": "one\n"})
    write(place, {"a.txt": "two\n"})
    commit_all(place)
    return BareRepository(git=GitCommand(tmp_path / "home", timeout_s=60), place=place / ".git")


def most_bytes(deed: Callable[[], object]) -> int:
    """What the deed held at once."""
    tracemalloc.start()
    try:
        deed()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_short_answer_takes_little_memory(repository: BareRepository) -> None:
    assert most_bytes(lambda: repository.ask("rev-parse", "HEAD", deed="read it")) < _MOST_BYTES


def test_a_short_diff_takes_little_memory_whatever_it_may_have(repository: BareRepository) -> None:
    old, new = (git(repository.place, "rev-parse", name) for name in ("HEAD~1", "HEAD"))
    assert most_bytes(lambda: repository.diff(old, new, 256 << 20)) < _MOST_BYTES
