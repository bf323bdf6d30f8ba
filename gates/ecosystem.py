"""What one ecosystem's files can say of how a repository is judged: a gate, and what has to be set up for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gates.test_runners import TestRunner

Read = Callable[[str], bytes | None]
"""The content of a path at the commit that is planned for; None where there is no such file."""

WORKSPACE: Final = "/workspace"
OUT: Final = "/ashigaru/out"
ENV: Final = "/ashigaru/env"
TIMEOUT_S: Final = 900
"""What a recognised gate or set-up may take."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One sealed command. junit: name of the report it promises below /ashigaru/out, or None.

    printed: where it leaves no report, the counts that its test runner prints are its evidence. runner: whose tests it
    runs, None where that is not known. image None: the plan's. directory: where it runs, below /workspace, "" for the
    top. paths: it is asked only of changes that touch one of these patterns, () for all. needs: names of the gates
    that must be green before it begins. required False: what it says is shown, and decides nothing.
    """

    name: str
    run: str
    junit: str | None
    timeout_s: int
    printed: bool = False
    runner: TestRunner | None = None
    image: str | None = None
    directory: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was recognised. gate None: there are no tests of this kind. manifests: patterns of what keys the set-up."""

    gate: Gate | None
    setup: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
