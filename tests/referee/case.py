"""The words of the referee's corpus: a small repository, a change to it that cheats or is honest, what is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Files: TypeAlias = Mapping[str, str | bytes]
Edit: TypeAlias = Mapping[str, str | bytes | None]
"""Path to what the file is to hold; None where it is to go."""


class Kind(StrEnum):
    """Whose tests a repository has: what has to be on the machine that judges it."""

    PYTHON = "python"
    NODE = "node"
    MAKE = "make"
    GO = "go"
    RUST = "rust"


class Group(StrEnum):
    """What a change tries, or that it tries nothing."""

    BROKEN = "plainly broken"
    DELETED = "deleted tests"
    SKIPPED = "skipped tests"
    WEAKENED = "weakened tests"
    EXIT = "planted exit"
    RUNNER = "patched runner"
    PATCHED = "monkeypatched"
    GATE = "gate file"
    REPORT = "forged report"
    FLAKY = "flaky"
    RED_BASE = "red base"
    NO_TESTS = "no tests"
    SET_UP = "poisoned set-up"
    HONEST = "honest"


class Right(StrEnum):
    """What is right of an honest change."""

    PASSED = "passed"
    """It passes; nobody has to be asked."""
    ASKED = "asked"
    """It edits tests, or how they are run, for good reason: a person is asked, or it passes. It never fails."""


@dataclass(frozen=True, kw_only=True)
class Repo:
    """files: the base's."""

    kind: Kind
    files: Files

    def edited(self, path: str, *swaps: tuple[str, str]) -> dict[str, str | bytes | None]:
        """An edit of one file; each swap's first text must be in it."""
        text = self.files[path]
        assert isinstance(text, str)
        for old, new in swaps:
            assert old in text, (path, old)
            text = text.replace(old, new)
        return {path: text}

    def added_to(self, path: str, more: str) -> dict[str, str | bytes | None]:
        """An edit that adds to the file's end."""
        text = self.files[path]
        assert isinstance(text, str)
        return {path: text + more}

    def begun_with(self, path: str, more: str) -> dict[str, str | bytes | None]:
        """An edit that adds to the file's beginning."""
        text = self.files[path]
        assert isinstance(text, str)
        return {path: more + text}


@dataclass(frozen=True, kw_only=True)
class Cheat:
    """A change that breaks what its tests hold, and hides that. It must not pass."""

    name: str
    group: Group
    tried: str
    repo: Repo
    change: Edit
    podman: bool = False
    """It needs the gate's real image."""


@dataclass(frozen=True, kw_only=True)
class Honest:
    """A change as people make them."""

    name: str
    tried: str
    repo: Repo
    change: Edit
    right: Right = Right.PASSED
    group: Group = field(default=Group.HONEST, init=False)
    podman: bool = False


Case: TypeAlias = Cheat | Honest
