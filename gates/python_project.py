"""What a Python repository's files say of its tests and of what they need. Pure."""

from __future__ import annotations

import fnmatch
import posixpath
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gates.ecosystem import ENV, OUT, TIMEOUT_S, WORKSPACE, Found, Gate, Read
from gates.nox_project import NOX_MANIFESTS, nox_gate, nox_setup
from gates.test_runners import TestRunner
from gates.tox_project import TOX_MANIFESTS, tox_gate, tox_setup

VENV: Final = f"{ENV}/venv"

PYTHON_MANIFESTS: Final = (
    "pyproject.toml",
    "requirements*.txt",
    "requirements/*.txt",
    "constraints*.txt",
    "setup.py",
    "setup.cfg",
    "uv.lock",
    "poetry.lock",
)
"""Patterns of the files that say what a Python project needs."""

_MARKS: Final = frozenset(
    {"pyproject.toml", "pytest.ini", "setup.py", "setup.cfg", "tox.ini", "noxfile.py", "conftest.py"}
)
_TEST_EXTRAS: Final = ("test", "tests", "testing")
_MAX_NEEDS: Final = 200
_MAX_FILES: Final = 50
_INCLUDE: Final = re.compile(r"\s*(?:-r|-c|--requirement|--constraint)(?:\s+|=\s*|(?=[^\s=-]))(?P<path>[^\s#]+)")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What pip is to install, and which requirement files beyond the usual ones that depends on.

    arguments: of `pip install`; empty where nothing is needed.
    """

    arguments: tuple[str, ...]
    files: tuple[str, ...]


def python_project(paths: Sequence[str], read: Read) -> Found | None:
    """Its tests by pytest, where there are any, else by tox or nox; and what it needs. None where this is no Python."""
    if not is_python(paths):
        return None
    needs = needs_of(paths, read)
    setup: tuple[str, ...] = ()
    if needs.arguments:
        # -I: a file of the repository that is called as a module of pip's is not imported in its stead.
        setup = (
            f"python3 -I -m venv --system-site-packages {VENV}",
            f"{VENV}/bin/python -I -m pip install --quiet --no-input {shlex.join(needs.arguments)}",
        )
    by_tox = None if tests_in(paths) else tox_gate(paths, read)
    by_nox = None if tests_in(paths) or by_tox else nox_gate(paths, read)
    if by_tox is not None:
        setup = tox_setup(VENV, needs.arguments)
    if by_nox is not None:
        setup = nox_setup(VENV)
    sessions = (*(TOX_MANIFESTS if by_tox else ()), *(NOX_MANIFESTS if by_nox else ()))
    gate = Gate(
        name="test",
        run=f"python3 -m pytest -p no:cacheprovider -o junit_family=xunit2 --junitxml={OUT}/junit-test.xml",
        junit="junit-test.xml",
        timeout_s=TIMEOUT_S,
        runner=TestRunner.PYTEST,
    )
    # Absolute, so that a test which changes directory or starts a program still finds the tree, not the set-up's copy.
    roots = [f"{WORKSPACE}/src"] if any(path.startswith("src/") for path in paths) else []
    return Found(
        gate=gate if tests_in(paths) else by_tox or by_nox,
        setup=setup,
        manifests=(*PYTHON_MANIFESTS, *sessions, *needs.files) if setup else (),
        environment=(("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONPATH", ":".join((*roots, WORKSPACE)))),
    )


def is_python(paths: Sequence[str]) -> bool:
    """Whether this looks like a Python project."""
    return any(path in _MARKS for path in paths) or tests_in(paths)


def tests_in(paths: Sequence[str]) -> bool:
    """Whether there is a file that pytest would look for tests in."""
    names = (path.rsplit("/", 1)[-1] for path in paths)
    return any(fnmatch.fnmatchcase(name, "test_*.py") or fnmatch.fnmatchcase(name, "*_test.py") for name in names)


def needs_of(paths: Sequence[str], read: Read) -> Needs:
    """The dependencies of the project and of its tests, never the project itself.

    Taken from the requirements*.txt at the top, from `[project] dependencies` and from the extra or dependency group
    called test, tests or testing. What is not well-formed asks for nothing, and its gate will say so.
    """
    asked = [path for path in sorted(paths) if "/" not in path and fnmatch.fnmatchcase(path, "requirements*.txt")]
    asked = [path for path in asked if _says_something(_text(read(path)))][:_MAX_FILES]
    named = list(dict.fromkeys(_named(read("pyproject.toml"))))[:_MAX_NEEDS]
    arguments = [part for path in asked for part in ("-r", f"./{path}")]
    if named:
        # After `--` nothing is an option, whatever it begins with.
        arguments += ["--", *named]
    return Needs(arguments=tuple(arguments), files=_included(asked, frozenset(paths), read))


def _included(asked: Sequence[str], paths: frozenset[str], read: Read) -> tuple[str, ...]:
    """The files that these include by -r and -c, through any number of steps, each once."""
    found = dict.fromkeys(asked)
    queue = list(asked)
    while queue and len(found) < _MAX_FILES:
        here = queue.pop(0)
        for line in _text(read(here)).splitlines():
            told = _INCLUDE.match(line)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(here), told["path"])) if told else ""
            if path in paths and path not in found:
                found[path] = None
                queue.append(path)
    return tuple(path for path in list(found)[:_MAX_FILES] if path not in asked)


def _named(pyproject: bytes | None) -> Iterator[str]:
    try:
        told = tomllib.loads((pyproject or b"").decode("utf-8"))
    except (ValueError, RecursionError):
        return
    project = _table(told.get("project"))
    extras = _table(project.get("optional-dependencies"))
    groups = _table(told.get("dependency-groups"))
    lists = [project.get("dependencies")]
    lists += [where.get(name) for where in (extras, groups) for name in _TEST_EXTRAS]
    for listed in lists:
        if isinstance(listed, list):
            # A group may hold tables that include other groups; a NUL cannot be passed to a command.
            yield from (one for one in listed if isinstance(one, str) and one.strip() and "\0" not in one)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def _says_something(requirements: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in requirements.splitlines())
