"""Tests that stand in source files: Rust's unit tests and documentation tests, Python's doctests. Pure.

They are in one file with what they test, so the base's cannot be put back under a change. What can be told is whether a
change left them as they were: a test that is only added is no edit. Read by their shape and not by a compiler: what is
said of them is for a person.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from gates.rust_text import closing, masked

_MAX_BYTES: Final = 1024 * 1024
_MAX_DEPTH: Final = 3
# An attribute, or the word for what it may stand before; both are looked for in masked text alone.
_TOKEN: Final = re.compile(
    r"#!?\[(?:[^\[\]]|\[[^\[\]]{0,500}\]){0,2000}\]"
    r"|(?P<word>\b(?:fn|mod|impl|struct|enum|trait|union|static|use|type)\b)"
)
_BODY: Final = re.compile(r"[{;]")
_MAX_HEAD: Final = 2000
_BETWEEN: Final = re.compile(r"(?:\s|\bpub\b(?:\([^)\n]{0,200}\))?|\basync\b|\bunsafe\b|\bconst\b|\bextern\b)*")
_IS_TEST: Final = re.compile(r"#\[\s*(?:[\w:]+::)?(?:test|test_case|rstest|bench|proptest|quickcheck)\b")
_FOR_TESTS: Final = re.compile(r"#!?\[\s*cfg\s*\([^\n]*\btest\b")
_BENT: Final = re.compile(
    r"\bmacro_rules!\s*(?:debug_)?(?:assert|panic|matches|unreachable)\w*|\bas\s+(?:debug_)?assert\w*"
)
_DOCUMENTED: Final = re.compile(r"\s*//[/!](?P<text>.*)")
_FENCE: Final = re.compile(r"\s*(?:```|~~~)(?P<said>.*)")
_PROMPT: Final = re.compile(r"\s*>>> ")


def edited(path: str, old: bytes, new: bytes) -> bool:
    """Whether tests in the source file `old` are gone or others in `new`, or something bends what they assert."""
    before, after = _text(old), _text(new)
    if path.endswith(".rs"):
        tests_before, tests_after = _rust(before), _rust(after)
        bent = Counter(_BENT.findall(masked(after))) - Counter(_BENT.findall(masked(before)))
        return bool(tests_before - tests_after) or bool(bent)
    if path.endswith((".py", ".pyi")):
        return bool(Counter(_doctests(before)) - Counter(_doctests(after)))
    return False


def _rust(text: str) -> Counter[str]:
    """Each test, each line beside the tests of what is compiled for tests alone, and each documentation test."""
    return Counter([*_unit_tests(text), *_documentation_tests(text)])


def _items(mask: str) -> Iterator[tuple[int, int, int]]:
    """Each item that attributes stand before: where they begin, where its body does, where it is over.

    Of an item that is no test's and not for tests alone, what is inside comes next.
    """
    at = 0
    begin: int | None = None
    last = 0
    while (told := _TOKEN.search(mask, at)) is not None:
        if begin is not None and not _BETWEEN.fullmatch(mask, last, told.start()):
            begin = None
        at = last = told.end()
        if told["word"] is None:
            begin = told.start() if begin is None else begin
        elif begin is not None:
            attributes = mask[begin : told.start()]
            opened = _BODY.search(mask, at, at + _MAX_HEAD)
            if opened is not None:
                end = closing(mask, opened.start()) if opened[0] == "{" else opened.end()
                yield begin, opened.end(), end
                ours = _IS_TEST.search(attributes) or _FOR_TESTS.search(attributes)
                at = end if ours else opened.end()
            begin = None


def _unit_tests(text: str, depth: int = 0) -> Iterator[str]:
    mask = masked(text)
    for begin, body, end in _items(mask):
        attributes = mask[begin:body]
        if _IS_TEST.search(attributes):
            yield _same(text[begin:end])
        elif _FOR_TESTS.search(attributes):
            # Its head, then what is in it, and the lines that are left; so that an added test changes none of them.
            yield _same(text[begin:body])
            inside = text[body:end]
            if depth < _MAX_DEPTH:
                yield from _unit_tests(inside, depth + 1)
            yield from (line for one in _without_tests(inside).split("\n") if (line := _same(one)) not in {"", "}"})


def _without_tests(text: str) -> str:
    """What is left of a module once its tests are taken out, and its comments."""
    mask = masked(text)
    left: list[str] = []
    at = 0
    for begin, body, end in _items(mask):
        if _IS_TEST.search(mask[begin:body]):
            left.append(text[at:begin])
            at = end
    return re.sub(r"//[^\n]*", "", "".join((*left, text[at:])))


def _documentation_tests(text: str) -> Iterator[str]:
    block: list[str] | None = None
    for line in text.split("\n"):
        told = _DOCUMENTED.fullmatch(line)
        fence = _FENCE.fullmatch(told["text"]) if told else None
        if told is None:
            block = None
        elif fence is not None and block is None:
            block = [fence["said"].strip()]
        elif fence is not None and block is not None:
            yield "\n".join(block)
            block = None
        elif block is not None:
            block.append(told["text"].strip())


def _doctests(text: str) -> Iterator[str]:
    """Each example: its prompt and what is expected of it, up to the next, an empty line or the end of the string."""
    block: list[str] = []
    for line in [*text.split("\n"), ""]:
        if _PROMPT.match(line) and block:
            yield "\n".join(block)
            block = []
        if _PROMPT.match(line) or (block and line.strip() and not re.search(r"\"\"\"|'''", line)):
            block.append(line.strip())
        elif block:
            yield "\n".join(block)
            block = []


def _text(data: bytes) -> str:
    return data[:_MAX_BYTES].decode("utf-8", "replace").replace("\r\n", "\n")


def _same(text: str) -> str:
    return " ".join(text.split())
