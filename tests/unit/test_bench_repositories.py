"""What `make bench` measures on is the same everywhere and each time."""

from __future__ import annotations

from pathlib import Path

from tests.bench.repositories import TINY, make
from tests.git_rig import git


def test_the_seeded_repository_has_the_same_commits_each_time(tmp_path: Path) -> None:
    heads = {git(make(TINY, tmp_path / name), "rev-parse", "main") for name in ("one", "two")}
    assert len(heads) == 1
    assert git(tmp_path / "one", "ls-tree", "--name-only", "main", "bench.txt") == "bench.txt"
