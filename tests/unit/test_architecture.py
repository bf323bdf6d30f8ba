"""The house's rules that a tool can see."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = ("mcp_ashigaru", "runner", "gates")
MODULES = sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))
AT_MOST = 300
NO_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}
# These run inside sandboxes, alone: a sandbox's environment is theirs to read.
INSIDE = "runner/images/agent/"

IMPORTS_ALL = """
import importlib, json, sys, threading
theirs, ours = json.loads(sys.argv[1])
for name in theirs:
    importlib.import_module(name)
before = set(threading.enumerate())
opened = []
def audit(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        opened.append(str(args[0]))
    elif event in {"os.mkdir", "os.remove", "os.rename", "socket.bind", "socket.connect", "subprocess.Popen"}:
        opened.append(f"{event} {args[:1]!r}")
sys.addaudithook(audit)
for name in ours:
    importlib.import_module(name)
started = [one.name for one in set(threading.enumerate()) - before]
print(json.dumps({"deeds": opened, "threads": started}))
"""


def named(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_at_most_three_hundred_lines(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= AT_MOST, f"{named(path)} has {lines} lines; split it by idea"


def test_names_are_the_domains() -> None:
    assert [named(path) for path in MODULES if set(path.relative_to(PROJECT).with_suffix("").parts) & NO_NAMES] == []


def test_imports_stand_at_the_top() -> None:
    inner = [
        f"{named(path)}:{node.lineno}"
        for path in MODULES
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inner == []


def test_only_settings_reads_the_environment() -> None:
    readers = {
        named(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
    }
    assert {name for name in readers if not name.startswith(INSIDE)} == {"mcp_ashigaru/settings.py"}


def test_files_are_read_and_written_as_utf8_or_as_bytes() -> None:
    vague = []
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"read_text", "write_text"} and "encoding" not in {one.arg for one in node.keywords}:
                vague.append(f"{named(path)}:{node.lineno}")
    assert vague == []


def test_no_handler_catches_every_exception_but_at_the_boundaries_that_say_why() -> None:
    wide = []
    for path in MODULES:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(tree(path)):
            caught = getattr(node, "type", None) if isinstance(node, ast.ExceptHandler) else None
            everything = isinstance(node, ast.ExceptHandler) and (
                caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})
            )
            if everything and "noqa" not in lines[node.lineno - 1] and not _raises_again(node):
                wide.append(f"{named(path)}:{node.lineno}")
    assert wide == []


def _raises_again(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Raise) for one in ast.walk(node))


def outside() -> list[str]:
    """What our modules import of others: a library's own doings at import are not ours."""
    found = set()
    for path in MODULES:
        for node in tree(path).body:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return sorted(name for name in found if name.partition(".")[0] not in PACKAGES)


def test_importing_does_nothing(tmp_path: Path) -> None:
    alone = [dotted(path) for path in MODULES if "migrations" not in path.parts and path.name != "__main__.py"]
    alone = [name for name in alone if not name.startswith(INSIDE.replace("/", ".").rstrip("."))]
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", IMPORTS_ALL, json.dumps([outside(), alone])],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"deeds": [], "threads": []}
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_every_pure_module_is_under_the_contract_of_purity() -> None:
    contract = (PROJECT / ".importlinter").read_text(encoding="utf-8").partition("[importlinter:contract:pure]")[2]
    sources = contract.partition("source_modules =")[2].partition("forbidden_modules")[0].split()
    said_pure = {
        dotted(path)
        for path in MODULES
        if path.parent.name == "runner" and "Pure" in (ast.get_docstring(tree(path)) or "").replace("pure", "Pure")
    }
    assert said_pure <= set(sources), said_pure - set(sources)
