"""Which files are tests and which say how tests are run, for each ecosystem. Pure. docs/gates.md has the rules."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from itertools import pairwise
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


_TEST_DIRECTORIES: Final = frozenset(
    {
        "test",
        "tests",
        "__tests__",
        "e2e",
        "fixtures",
        "__fixtures__",
        "testfixtures",
        "testdata",
        "test_data",
        "test-data",
        "integrationtest",
        "__snapshots__",
        "__image_snapshots__",
        "__mocks__",
        "cassettes",
    }
)
"""In lower case; in these everything is a test's."""
_SPECIFICATIONS: Final = frozenset({"spec", "specs"})
"""The same, but for source in languages whose tests are not kept there."""
_NO_SPECIFICATION: Final = re.compile(r".*\.(?:py|go|rs|java|kt|c|cc|cpp|h|proto)")

_TEST_NAMES: Final = (
    r"test_.*\.pyi?|.*_test\.py|tests?\.py",
    r".*[.](?:test|spec|cy)\.[cm]?[jt]sx?|test-.*\.[cm]?[jt]sx?|tests?\.[cm]?[jt]sx?|.*[-_]test\.[cm]?[jt]sx?",
    r".*_test\.go",
    r"tests?\.rs|test_.*\.rs|.*_tests?\.rs",
    r".*(?:Tests?|TestCase|IT|ITCase|Spec)\.(?:java|kt|groovy|scala)",
    r".*\.(?:snap|ambr|golden|approved|verified|feature)|.*\.(?:approved|verified)\.[^.]+",
)
_RUNNER_NAMES: Final = (
    # Python
    r"conftest\.py|\.?pytest\.(?:ini|toml)|tox\.(?:ini|toml)|noxfile\.py|\.coveragerc|(?:site|user)customize\.py|.*\.pth",
    # Node
    r"(?:jest|vitest|vite|karma|playwright|cypress|ava|babel)\.(?:config|conf|setup|workspace|preset)(?:\..*)?",
    r"(?:jest|vitest)[-_.]setup.*|setup-?(?:[tT]ests?|[jJ]est|[vV]itest).*\.[cm]?[jt]sx?|\.(?:mocharc|nycrc|c8rc|babelrc|swcrc).*",
    r"\.npmrc|\.yarnrc.*|\.pnpmfile\.c?js|tsconfig\.(?:test|tests|spec|jest|vitest)\.json|(?:nx|turbo|lerna)\.json",
    # Go, Rust, Java
    r"go\.work|go\.work\.sum|build\.rs|rust-toolchain(?:\.toml)?|nextest\.toml",
    r"(?:build|settings)\.gradle(?:\.kts)?|gradle\.properties|gradlew(?:\.bat)?|mvnw(?:\.cmd)?",
    r"junit-platform\.properties|testng.*\.xml",
    # Tasks
    r"GNUmakefile|[Mm]akefile|.*\.mk|\.?justfile|.*\.just|[Tt]askfile\.ya?ml|run[-_]?tests?(?:\.\w+)?|\.env\.test",
    # Other checks
    r"\.pre-commit-config\.yaml|\.?(?:ruff|clippy|rustfmt)\.toml|\.flake8|\.?mypy\.ini|pyrightconfig\.json|\.?pylintrc",
    r"\.eslintrc.*|eslint\.config\..*|\.?biome\.jsonc?|\.golangci\.ya?ml|checkstyle.*\.xml",
)
_MIXED_NAMES: Final = frozenset({"pyproject.toml", "setup.cfg", "package.json", "Cargo.toml", "go.mod", "pom.xml"})
_TEST_NAME: Final = re.compile("|".join(_TEST_NAMES))
_RUNNER_NAME: Final = re.compile("|".join(_RUNNER_NAMES))

_RUNNER_ANYWHERE: Final = frozenset({"node_modules", ".cargo", ".config", ".mvn", ".yarn"})
_RUNNER_ON_TOP: Final = frozenset({"vendor", "buildSrc"})
# A file of a distribution's is how pytest's plugins are found, wherever modules are.
_DISTRIBUTION: Final = re.compile(r".*\.(?:dist|egg)-info")
# What a Java program loads by itself once it is on its class path.
_SERVICE: Final = re.compile(r"org\.(?:junit|testng|apache\.maven\.surefire)\..*")

_ROOTS: Final = ((), ("src",))
"""Where Python's modules are looked for in a recognised repository."""
_PYTESTS: Final = frozenset(
    {
        "_pytest",
        "colorama",
        "coverage",
        "exceptiongroup",
        "hypothesis",
        "iniconfig",
        "mock",
        "packaging",
        "pip",
        "pluggy",
        "py",
        "pygments",
        "pytest",
        "setuptools",
        "tomli",
        "typing_extensions",
        "xdist",
    }
)
# `test` is a name of Python's own for its tests, and everybody's for theirs.
_TAKEN: Final = (sys.stdlib_module_names | _PYTESTS) - {"test"}
_MODULE: Final = re.compile(r"(?P<name>\w+)(?:\.[\w-]+)*\.(?:py|pyc|so)")


def kind_of(path: str, *, added: bool = False) -> FileKind:
    """What the path is, by its name and the directories it is in; its content has no say.

    added: the base has no such file. Then a module by the name of one of Python's own, or of pytest's, is a runner
    file: it would be imported in its stead.
    """
    *directories, name = path.split("/")
    if _is_runner(directories, name) or (added and shadows(path)):
        return FileKind.RUNNER
    around = {one.lower() for one in directories}
    if around & _TEST_DIRECTORIES or (around & _SPECIFICATIONS and not _NO_SPECIFICATION.fullmatch(name)):
        return FileKind.TEST
    if name in _MIXED_NAMES:
        return FileKind.MIXED
    in_main = ("src", "main") in pairwise(directories)
    return FileKind.TEST if _TEST_NAME.fullmatch(name) and not in_main else FileKind.SOURCE


def shadows(path: str) -> bool:
    """Whether Python would import it in the stead of a module of its own or of pytest's."""
    *directories, name = path.split("/")
    told = _MODULE.fullmatch(name)
    if told is None:
        return False
    if tuple(directories) in _ROOTS:
        return told["name"] in _TAKEN or told["name"].startswith("pytest_")
    # A directory is a package only by its `__init__`; without one, what Python has itself comes first.
    return told["name"] == "__init__" and tuple(directories[:-1]) in _ROOTS and directories[-1] in _TAKEN


def _is_runner(directories: list[str], name: str) -> bool:
    if _RUNNER_NAME.fullmatch(name) or directories[:1] == ["gradle"]:
        return name != "libs.versions.toml"
    if not _RUNNER_ANYWHERE.isdisjoint(directories) or not _RUNNER_ON_TOP.isdisjoint(directories[:1]):
        return True
    distribution = any(_DISTRIBUTION.fullmatch(one) for one in (*directories, name))
    return distribution or (directories[-1:] == ["services"] and _SERVICE.fullmatch(name) is not None)
