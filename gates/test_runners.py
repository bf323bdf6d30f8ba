"""The test runners that are known by name, and how one is recognised in a command. Pure."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class TestRunner(StrEnum):
    """Whose tests a gate runs: how they are found, reported and added to depends on that."""

    __test__ = False  # pytest takes a class of this name for tests otherwise

    PYTEST = "pytest"
    NODE = "node"
    JEST = "jest"
    VITEST = "vitest"
    MOCHA = "mocha"
    GO = "go"
    CARGO = "cargo"
    MAVEN = "maven"
    GRADLE = "gradle"


_KNOWN: Final = (
    (TestRunner.PYTEST, re.compile(r"(?<![\w./-])(?:pytest|py\.test)(?![\w-])")),
    (TestRunner.NODE, re.compile(r"(?<![\w./-])node\s+(?:(?!\S*\.[cm]?[jt]s\b)[^\s&|;]+\s+)*--test(?![\w-])")),
    (TestRunner.JEST, re.compile(r"(?<![\w./-])jest(?![\w-])")),
    (TestRunner.VITEST, re.compile(r"(?<![\w./-])vitest(?![\w-])")),
    (TestRunner.MOCHA, re.compile(r"(?<![\w./-])mocha(?![\w-])")),
    (TestRunner.GO, re.compile(r"(?<![\w./-])(?:go\s+test|gotestsum)(?![\w-])")),
    (TestRunner.CARGO, re.compile(r"(?<![\w./-])cargo\s+(?:test|nextest)(?![\w-])")),
    (TestRunner.MAVEN, re.compile(r"(?<![\w-])mvnw?(?![\w-])")),
    (TestRunner.GRADLE, re.compile(r"(?<![\w-])gradlew?(?![\w-])")),
)


def runner_in(command: str) -> TestRunner | None:
    """The one test runner that the shell command names; None where there is none, or more than one."""
    named = [runner for runner, pattern in _KNOWN if pattern.search(command)]
    return named[0] if len(named) == 1 else None
