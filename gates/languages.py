"""Which language a file is in, as far as what it says can be read here; and its text without what is not code. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

MAX_BYTES: Final = 1024 * 1024
"""Of a file: a larger one is not read."""


class Language(StrEnum):
    """A language of which more is known than its name."""

    PYTHON = "python"
    SCRIPT = "script"
    """JavaScript and TypeScript."""
    GO = "go"
    RUST = "rust"
    JAVA = "java"
    """Java and Kotlin."""


_SUFFIXES: Final[Mapping[str, Language]] = {
    "py": Language.PYTHON,
    "pyi": Language.PYTHON,
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"), Language.SCRIPT),
    "go": Language.GO,
    "rs": Language.RUST,
    "java": Language.JAVA,
    "kt": Language.JAVA,
}
_COMMENT: Final = r"//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)"
_QUOTED: Final = r'"(?:\\.|[^"\\\n])*"'
_SINGLE: Final = r"'(?:\\.|[^'\\\n])+'"
_TICKED: Final = r"`(?:\\.|[^`\\])*`"
# A lone quote begins a lifetime as often as a character. What never ends goes to the end, so that nobody looks twice.
_RUST_STRING: Final = r'r#+"(?:[^"]|"(?!#))*(?:"#+|\Z)|"(?:\\.|[^"\\])*"'
_RUST_CHARACTER: Final = r"'(?:\\[^'\n]{0,12}|[^'\\\n])'"
_JAVA_BLOCK: Final = r'"""(?:[^"]|"(?!""))*(?:"""|\Z)'
_NOT_CODE: Final[Mapping[Language, re.Pattern[str]]] = {
    Language.SCRIPT: re.compile(rf"{_COMMENT}|{_QUOTED}|''|{_SINGLE}|{_TICKED}", re.DOTALL),
    Language.GO: re.compile(rf"{_COMMENT}|{_QUOTED}|`[^`]*`|{_SINGLE}"),
    Language.RUST: re.compile(rf"{_COMMENT}|{_RUST_STRING}|{_RUST_CHARACTER}", re.DOTALL),
    Language.JAVA: re.compile(rf"{_COMMENT}|{_JAVA_BLOCK}|{_QUOTED}|{_SINGLE}"),
}


def language_of(path: str) -> Language | None:
    """By the name alone; None where it is none of these."""
    name = path.rsplit("/", 1)[-1]
    return _SUFFIXES.get(name.rsplit(".", 1)[-1]) if "." in name else None


def text_of(data: bytes | None) -> str:
    """What stands in a file; nothing where there is none, and its beginning where it is larger than MAX_BYTES."""
    return "" if data is None else data[:MAX_BYTES].decode("utf-8", "replace")


def python_tree(data: bytes | None) -> ast.Module | None:
    """What Python makes of the file; None where it is none, too large, or not to be parsed."""
    if data is None or len(data) > MAX_BYTES:
        return None
    try:
        return ast.parse(data)
    # The last two: text that is nested more deeply than the parser can follow.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def code_only(language: Language, text: str) -> str:
    """The text with comments taken out and with strings emptied, so that what is left is code. Not for Python."""
    return _NOT_CODE[language].sub(_emptied, text)


def dotted(node: ast.expr | None) -> str:
    """The name of a name or of an attribute of a name, as `os.path.join`; what a call or an index stands in is "?"."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "?")
    return ".".join(reversed(parts))


def _emptied(found: re.Match[str]) -> str:
    whole = found.group()
    return " " if whole.startswith(("//", "/*")) else '""'
