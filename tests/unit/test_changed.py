"""A diff as it is shown, and what is counted in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.changed import FileStat, shown, stats
from tests.story.house import git, repository

HEADER = "diff --git a/{0} b/{0}\nindex 1..2 100644\n--- a/{0}\n+++ b/{0}\n"


def test_a_line_of_a_file_that_looks_like_a_header_is_counted_as_a_line() -> None:
    text = HEADER.format("notes") + "@@ -1,2 +1,2 @@\n---- a/evil\n-x\n++++ b/evil\n+diff --git a/p b/p\n"
    assert stats(text) == (FileStat(path="notes", added=2, removed=2),)


def test_what_git_says_of_every_kind_of_change_is_counted_as_git_counts_it(tmp_path: Path) -> None:
    where = repository(
        tmp_path / "r", {"a b.txt": "1\n2\n3\n", "gone": "x\n", "mode": "y\n", "blob": "z\n", "ü": "1\n"}
    )
    (where / "a b.txt").write_text("1\n-- two\n3\n4", encoding="utf-8")
    (where / "gone").unlink()
    (where / "mode").chmod(0o755)
    (where / "blob").write_bytes(b"\x00\x01")
    (where / "ü").write_text("2\n", encoding="utf-8")
    (where / "new").write_text("a\nb\n", encoding="utf-8")
    (where / "empty").touch()
    git(where, "add", "--all", ".")
    argv = ["git", "-c", "core.quotePath=false", "diff", "--no-renames", "--cached"]
    text = subprocess.run(argv, cwd=where, capture_output=True, text=True, check=True).stdout
    assert stats(text) == (
        FileStat(path="a b.txt", added=2, removed=1),
        FileStat(path="blob", binary=True),
        FileStat(path="empty"),
        FileStat(path="gone", removed=1),
        FileStat(path="mode"),
        FileStat(path="new", added=2),
        FileStat(path="ü", added=1, removed=1),
    )


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x1b", "\r", "\x00", "\u2028", "\x0c", "\U000e0041"])
def test_what_would_not_be_seen_is_spelled_out(hidden: str) -> None:
    assert shown(f"+a{hidden}b") == f"+a<U+{ord(hidden):04X}>b"


def test_what_is_seen_stays_as_it_is() -> None:
    text = "+\tänderung 日本 🙂\n context\n"
    assert shown(text) == text


@given(st.text())
def test_no_text_is_too_strange_to_be_shown_and_counted(text: str) -> None:
    stats(text)
    assert shown(text).count("\n") == text.count("\n")
