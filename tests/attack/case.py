"""The words of the attack suite: a defence that can be taken out, a case that tries to get past it, how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from tests.attack.ground import Ground


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The attack had no effect. by: what stopped it, as it was seen."""

    by: str


@dataclass(frozen=True, kw_only=True)
class Through:
    """The attack had its effect. what: what it reached."""

    what: str


@dataclass(frozen=True, kw_only=True)
class Unenforceable:
    """This machine's kernel cannot enforce the defence, and the operator is told so. why: what is missing."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Broken:
    """The attack could not be carried out as it was meant: nothing is shown by it."""

    why: str


Outcome: TypeAlias = Stopped | Through | Unenforceable | Broken
Attempt: TypeAlias = Callable[[Ground], Outcome]


@dataclass(frozen=True, kw_only=True)
class Defence:
    """One defence. without: takes exactly that one out of the real code while the block lasts."""

    name: str
    sentence: str
    without: Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One (defence, vector) pair. group: a letter of docs/attack.md. tried: what is attempted, in a few words.

    deadline_s: when it counts as not stopped. podman: it needs real containers.
    """

    group: str
    defence: str
    vector: str
    tried: str
    attempt: Attempt
    deadline_s: float = 30.0
    podman: bool = False

    @property
    def name(self) -> str:
        """How it is called in the table."""
        return f"{self.defence}/{self.vector}"


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Defences that belong together, and the cases that try them."""

    defences: tuple[Defence, ...]
    cases: tuple[Case, ...]
