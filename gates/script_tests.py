"""What tests in JavaScript, Go, Rust and Java do not ask, by what they look like: counts of places. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gates.languages import Language, code_only

_SKIPPED: Final = "skipped or ignored"
_ALONE: Final = "told to run alone"
_EMPTY: Final = "with an empty body"
_TRUE: Final = "assertion(s) of what is always true"
_COMMENTED: Final = "commented out"
_SWALLOWED: Final = "place(s) where a failure is caught and dropped"

_TEST_CALL: Final = r"\b(?:it|test|describe|suite|context|specify)"
_FUNCTION: Final = r"(?:async\s*)?(?:\(\s*\w*\s*\)\s*=>|function\s*\w*\s*\(\s*\w*\s*\))"
_LOOKS: Final[Mapping[Language, Mapping[str, re.Pattern[str]]]] = {
    Language.SCRIPT: {
        _SKIPPED: re.compile(
            rf"{_TEST_CALL}(?:\.\w+)*\.(?:skip|todo|fails|failing|skipIf|runIf)\b|\bx(?:it|test|describe|specify|context)\s*\("
            r"|\b(?:t|this|ctx|context)\.(?:skip|todo)\s*\(|\b(?:skip|todo)\s*:\s*(?:true|\"\"|\w)"
        ),
        _ALONE: re.compile(rf"{_TEST_CALL}(?:\.\w+)*\.only\b|\bf(?:it|describe|test)\s*\(|\bonly\s*:\s*true"),
        _EMPTY: re.compile(
            rf"{_TEST_CALL}\s*\(\s*\"\"\s*,\s*(?:\{{[^{{}}]{{0,200}}\}}\s*,\s*)?{_FUNCTION}\s*\{{\s*(?:return\b[^;}}]{{0,200}};?\s*)?\}}"
        ),
        _TRUE: re.compile(
            r"\bexpect\s*\(\s*(\w+|\"\")\s*\)\s*\.\s*to(?:Be|Equal|StrictEqual)\s*\(\s*\1\s*\)"
            r"|\bexpect\s*\(\s*(?:true|1)\s*\)\s*\.\s*toBe(?:Truthy|Defined)\s*\(|\bassert(?:\.ok)?\s*\(\s*(?:true|1)\s*[,)]"
            r"|\bassert\.\w*[eE]qual\s*\(\s*(\w+)\s*,\s*\2\s*[,)]"
        ),
        _SWALLOWED: re.compile(
            r"\bcatch\s*(?:\(\s*\w*\s*\))?\s*\{\s*\}|\.catch\s*\(\s*\(\s*\w*\s*\)\s*=>\s*(?:\{\s*\}|null|undefined)\s*\)"
        ),
    },
    Language.GO: {
        _SKIPPED: re.compile(r"\bt\.Skip(?:f|Now)?\s*\("),
        _EMPTY: re.compile(r"\bfunc\s+Test\w*\s*\(\s*\w*\s*\*testing\.T\s*\)\s*\{\s*(?:return\s*)?\}"),
        _TRUE: re.compile(
            r"\bif\s+false\s*\{|\b(?:assert|require)\.True\s*\(\s*t\s*,\s*true\b|\.Equal\s*\(\s*t\s*,\s*(\w+)\s*,\s*\1\s*[,)]"
        ),
        _SWALLOWED: re.compile(r"\brecover\s*\(\s*\)"),
    },
    Language.RUST: {
        _SKIPPED: re.compile(r"#\[\s*ignore\b|#\[\s*cfg_attr\s*\([^]]{0,200}\bignore\b|#\[\s*should_panic\b"),
        _EMPTY: re.compile(r"#\[test\]\s*(?:pub\s+)?fn\s+\w+\s*\(\s*\)\s*\{\s*\}"),
        _TRUE: re.compile(r"\bassert!\s*\(\s*true\b|\bassert_eq!\s*\(\s*(\w+)\s*,\s*\1\s*[,)]"),
        _SWALLOWED: re.compile(r"\bcatch_unwind\s*\("),
    },
    Language.JAVA: {
        _SKIPPED: re.compile(r"@(?:Disabled|Ignore)\w*|\bassume(?:True|False|That)\s*\("),
        _EMPTY: re.compile(r"@Test\b[^{};]{0,400}\{\s*\}"),
        _TRUE: re.compile(r"\bassertTrue\s*\(\s*true\s*[,)]|\bassertEquals\s*\(\s*(\w+)\s*,\s*\1\s*[,)]"),
        _SWALLOWED: re.compile(r"\bcatch\s*\([^)]{0,200}\)\s*\{\s*\}"),
    },
}
# In the text as it stands, for comments are not code.
_AS_COMMENT: Final[Mapping[Language, re.Pattern[str]]] = {
    Language.SCRIPT: re.compile(
        r"^\s*(?://|/?\*).*\b(?:it|test)(?:\.\w+)*\s*\(\s*['\"`]|^\s*//.*\b(?:expect|assert)\b.*\(", re.MULTILINE
    ),
    Language.GO: re.compile(
        r"^\s*(?://|/\*)\s*func\s+Test\w*\s*\(|^\s*//\s*t\.(?:Error|Fatal)|^//go:build\s+(?:ignore|!|never)",
        re.MULTILINE,
    ),
    Language.RUST: re.compile(r"^\s*(?://|/\*)\s*(?:#\[test\]|assert\w*!)", re.MULTILINE),
    Language.JAVA: re.compile(r"^\s*(?://|/\*)\s*(?:@Test\b|assert[A-Z])", re.MULTILINE),
}


def looks(language: Language, text: str) -> Mapping[str, int]:
    """How many places there are of each kind; the kinds are words that follow a number. Not for Python: all are 0."""
    code = code_only(language, text) if language in _LOOKS else ""
    found = {what: len(pattern.findall(code)) for what, pattern in _LOOKS.get(language, {}).items()}
    if language in _AS_COMMENT:
        found[_COMMENTED] = len(_AS_COMMENT[language].findall(text))
    return found
