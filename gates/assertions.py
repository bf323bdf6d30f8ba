"""How much less an edited test file asks than it did: assertions that went, tests that cannot fail any more. Pure.

For a person, who then reads the diff: what is not said here need not be absent. Python is read as its parser reads it,
the other languages by what they look like.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Final

from gates.languages import Language, code_only, dotted, language_of, python_tree, text_of
from gates.python_tests import Told, tests_in
from gates.script_tests import looks

MAX_TOLD: Final = 20
_ASSERTING: Final = re.compile(r"assert[A-Z_]\w*|assert_\w+|assert|fail|raises|warns|deprecated_call")
_COUNTED: Final[Mapping[Language, re.Pattern[str]]] = {
    Language.SCRIPT: re.compile(
        r"\bexpect(?:TypeOf)?\s*\(|\bassert\s*(?:\.\s*\w+\s*)*\(|\.should\b|\bt\.(?:is|deepEqual|true|throws)\s*\("
    ),
    Language.GO: re.compile(
        r"\b[tb]\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\s*\(|\b(?:require|assert)\.[A-Z]\w*\s*\("
    ),
    Language.RUST: re.compile(r"\b(?:debug_)?assert\w*!\s*[\(\[{]|\bpanic!\s*\(|#\[should_panic"),
    Language.JAVA: re.compile(r"\bassert[A-Z]\w*\s*[({]|\bfail\s*\(|\bverify\s*\(|\bassert\s+\w"),
}


def lost(path: str, old: bytes, new: bytes) -> int:
    """How many fewer assertions the file has than it had; 0 where it has as many, and for languages not known here.

    new: b"" for a file that is gone. A file that cannot be parsed cannot pass either, and counts as one with as many.
    """
    before, after = _assertions(path, old), _assertions(path, new)
    return 0 if before is None or after is None else max(0, before - after)


def weaker(path: str, old: bytes, new: bytes) -> tuple[str, ...]:
    """How tests of the file ask less than they did, a line each, at most MAX_TOLD.

    Tests that are skipped, expected to fail, commented out, emptied, left before they assert, or given fewer cases, and
    assertions that always hold or whose failure is swallowed: only what was not so before.
    """
    if language_of(path) is Language.PYTHON:
        was, now = python_tree(old), python_tree(new)
        return () if was is None or now is None else _weaker_python(tests_in(was), tests_in(now), text_of(new))
    language = language_of(path)
    if language is None:
        return ()
    before, after = looks(language, text_of(old)), looks(language, text_of(new))
    more = {what: after[what] - before[what] for what in after if after[what] > before[what]}
    return tuple(f"{count} more {what}" for what, count in more.items())[:MAX_TOLD]


def _assertions(path: str, data: bytes) -> int | None:
    language = language_of(path)
    if language is None:
        return None
    if language is Language.PYTHON:
        tree = python_tree(data)
        return None if tree is None else sum(_asserts(node) for node in ast.walk(tree))
    return len(_COUNTED[language].findall(code_only(language, text_of(data))))


def _asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return True
    return isinstance(node, ast.Call) and _ASSERTING.fullmatch(dotted(node.func).rsplit(".", 1)[-1]) is not None


def _weaker_python(was: Mapping[str, Told], now: Mapping[str, Told], text: str) -> tuple[str, ...]:
    told: list[str] = []
    for name, before in was.items():
        after = now.get(name)
        if after is not None:
            told += [f"{name} {what}" for what in after.less_than(before)]
        elif re.search(rf"^\s*#.*\bdef {re.escape(name.rsplit('.', 1)[-1])}\b", text, re.MULTILINE):
            told.append(f"{name} is commented out")
    return tuple(told)[:MAX_TOLD]
