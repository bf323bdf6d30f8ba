"""The table of docs/operate.md of what may go wrong in the world, held to the tests that it names."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "operate.md"
WHOLE = ("test_forge_trouble.py", "test_waits.py", "test_full_disk.py")
"""Stories that are about nothing else: each of their tests has its row."""
COLUMNS = 4


def rows() -> list[list[str]]:
    section = DOCUMENT.read_text(encoding="utf-8").split("## When the world misbehaves\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def named() -> set[str]:
    return {name for row in rows() for name in re.findall(r"`(test_\w+)`", row[-1])}


def defined(path: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_row_says_what_follows_what_to_do_and_which_test_shows_it() -> None:
    assert len(rows()) > 20
    for row in rows():
        assert len(row) == COLUMNS, row
        assert all(row)
        assert "`test_" in row[-1] or row[-1] == "the same", row


def test_every_test_that_the_table_names_is_there() -> None:
    there = set().union(*(defined(path) for path in TESTS.rglob("test_*.py")))
    assert named() - there == set()


def test_every_story_of_a_world_that_misbehaves_is_in_the_table() -> None:
    stories = set().union(*(defined(TESTS / "story" / name) for name in WHOLE))
    assert stories - named() == set()
