"""Which files are tests and which say how tests are run, for each ecosystem. Pure. docs/gates.md has the rules."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class FileKind(StrEnum):
    """What a path is to the judge."""

    TEST = "test"
    """A test, or what tests read: helpers, fixtures, snapshots. The base's version is what a change is held against."""
    RUNNER = "runner"
    """It says how tests are found or run. The base's version is what a change is held against."""
    MIXED = "mixed"
    """A manifest that says that too, in a section of its own: only that section is held to the base's."""
    SOURCE = "source"
    """Everything else."""


_TEST_DIRECTORIES: Final = frozenset({"tests", "test", "__tests__", "__snapshots__", "__mocks__", "testdata", "spec"})
_TEST_NAME: Final = re.compile(
    r"test_.*\.py|.*_test\.py|tests?\.py|.*\.(?:test|spec)\.[cm]?[jt]sx?|.*\.snap|.*_test\.go|(?:.*Tests?|.*IT)\.(?:java|kt)"
)
_RUNNER_NAME: Final = re.compile(
    r"conftest\.py|pytest\.(?:ini|toml)|\.pytest\.(?:ini|toml)|tox\.ini|noxfile\.py|\.coveragerc|sitecustomize\.py|usercustomize\.py"
    r"|.*\.pth|jest\.config\..*|vitest\.(?:config|workspace)\..*|vite\.config\..*|\.mocharc\..*|\.nycrc.*|\.c8rc.*|babel\.config\..*"
    r"|\.babelrc.*|\.npmrc|\.yarnrc.*|\.pnpmfile\.cjs|GNUmakefile|[Mm]akefile|.*\.mk|\.?justfile|go\.work|build\.rs"
    r"|\.pre-commit-config\.yaml|gradle\.properties|settings\.gradle(?:\.kts)?|gradlew|mvnw"
)
_MIXED_NAME: Final = frozenset({"pyproject.toml", "setup.cfg", "package.json", "Cargo.toml", "pom.xml"})


def kind_of(path: str) -> FileKind:
    """What the path is, by its name and the directories it is in; its content has no say."""
    *directories, name = path.split("/")
    if _RUNNER_NAME.fullmatch(name) or directories[:1] in (["node_modules"], [".cargo"], [".mvn"], [".config"]):
        return FileKind.RUNNER
    if name in _MIXED_NAME:
        return FileKind.MIXED
    if _TEST_NAME.fullmatch(name) or not _TEST_DIRECTORIES.isdisjoint(directories):
        return FileKind.TEST
    return FileKind.SOURCE
