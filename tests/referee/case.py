"""The words of the referee corpus: small repositories, changes to them that cheat, and honest ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from gates.findings import FindingKind

Files: TypeAlias = Mapping[str, str]
Change: TypeAlias = Mapping[str, str | bytes | None]
"""Path to content; None: the file is deleted."""


class Language(StrEnum):
    """Which toolchain a repository's gates need."""

    PYTHON = "python"
    MAKE = "make"
    NODE = "node"
    GO = "go"
    RUST = "rust"


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """An independent look at a tree, which no gate ever sees. It runs on the host, in a copy of the tree.

    files: what is put beside the tree's. command: it prints `RIGHT` as its last line if the tree does what was asked
    and all that it did before, and exits 0; anything else means that it does not. `{python}` is this interpreter.
    """

    command: tuple[str, ...]
    files: Files = field(default_factory=dict)


RIGHT = "this tree is right"


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A small repository with something to be done in it. files: its one commit.

    asked: what is to be done, in a few words. right: a change that does it. hidden: tells that one from a wrong one.
    green: whether its base is; a red one blocks, and no change to it is judged.
    """

    name: str
    language: Language
    files: Files
    asked: str
    right: Change
    hidden: Hidden
    green: bool = True


@dataclass(frozen=True, kw_only=True)
class Cheat:
    """A change that is wrong, with something that is to hide it.

    group: the row of the table. caught_by: a name in `DEFENCES`, the one that is meant to catch it (others may too).
    told: words that the verdict has to have, where the way it is caught matters. hidden: where the repository's own
    does not tell. sealed: only on real podman, for what it does would outlive a sandbox that is none.
    """

    name: str
    group: str
    repo: str
    change: Change
    caught_by: str
    told: str = ""
    hidden: Hidden | None = None
    sealed: bool = False


@dataclass(frozen=True, kw_only=True)
class Honest:
    """A change that a maintainer would take. expected: what a person has to be told of; None: it passes."""

    name: str
    repo: str
    change: Change
    expected: FindingKind | None = None


@dataclass(frozen=True, kw_only=True)
class Defence:
    """One defence of the judge. without: takes exactly that one out of the real code while the block lasts.

    behind: names of those that catch all that this one catches; it is seen at work where they are out.
    """

    name: str
    sentence: str
    without: Callable[[], AbstractContextManager[None]]
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Repositories that belong together, and what is done to them."""

    repositories: tuple[Repository, ...]
    cheats: tuple[Cheat, ...] = ()
    honest: tuple[Honest, ...] = ()
