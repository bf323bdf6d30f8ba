"""Source that names, looks for or ends the test run that judges it: what a change added of that. Pure.

Signs are for a person to weigh: honest code has them now and then, and who is clever enough has none. So only what the
old file did not have as often is told, and what honest code does every day (a CLI's exit, a pool that is closed at
exit, a name in a docstring) is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from gates.languages import MAX_BYTES, Language, language_of, python_tree, text_of
from gates.python_signs import Sign, python_signs
from gates.text import clean
from gates.text_signs import is_built, text_signs

MAX_SIGNS: Final = 12
_DOCUMENT: Final = re.compile(r".*\.(?:md|rst|adoc)", re.IGNORECASE)
_TOLD_CHARS: Final = 160


def signs(path: str, old: bytes | None, new: bytes) -> tuple[str, ...]:
    """What the change added to that file, a line each, at most MAX_SIGNS. old: None where there was no such file.

    Meant for source files (`FileKind.SOURCE`): tests have every right to name tests.
    """
    if _DOCUMENT.fullmatch(path):
        return ()
    if is_built(path):
        return () if old == new else (f"{clean(path, _TOLD_CHARS)} is a package or a program already built",)
    if language_of(path) is not None and len(new) > MAX_BYTES:
        return (f"{clean(path, _TOLD_CHARS)} is too large to be looked through",)
    had = Counter(one.what for one in _all(path, old or b""))
    told = [f"{path}:{one.line} {one.what}" for one in _beyond(had, _all(path, new))]
    return tuple(clean(line, _TOLD_CHARS) for line in dict.fromkeys(told))[:MAX_SIGNS]


def _all(path: str, data: bytes) -> Sequence[Sign]:
    language = language_of(path)
    if language is Language.PYTHON:
        tree = python_tree(data)
        try:
            return python_signs(path, tree) if tree is not None else text_signs(path, language, text_of(data))
        except RecursionError:  # nested more deeply than its tree can be walked
            return text_signs(path, language, text_of(data))
    return text_signs(path, language, text_of(data))


def _beyond(had: Counter[str], now: Sequence[Sign]) -> list[Sign]:
    """Of each kind of sign, the last ones that are more than there were; a name is told only where there was none."""
    found = []
    for one in now:
        if had[one.what] > 0:
            had[one.what] -= 0 if one.named else 1
        else:
            found.append(one)
    return found
