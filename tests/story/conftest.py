"""A state directory with a path short enough for sockets, and a repository to work on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.story.house import repository
from tests.story.scenes import FILES


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ash", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return repository(tmp_path / "widgets", FILES)
