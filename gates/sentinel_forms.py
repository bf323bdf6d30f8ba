"""How a test file is added to, for each test runner: what must pass, what must fail and what is expected to. Pure.

Forms for tests that are expected to fail: pytest `xfail(strict=True)`, node `todo`, jest `test.failing`, vitest
`test.fails`, Rust `#[should_panic]`. Go and mocha have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gates.evidence import CaseOutcome
from gates.test_runners import TestRunner

_SCRIPT: Final = re.compile(r"(?:.*/)?[^/]+\.(?P<kind>[cm]?[jt]s)x?")
_MODULE: Final = re.compile(r"^\s*(?:import|export)\s", re.MULTILINE)
_GO_TESTING: Final = re.compile(r'^(?:import)?\s*"testing"', re.MULTILINE)
_HELD: Final[Mapping[TestRunner, re.Pattern[str]]] = {
    TestRunner.PYTEST: re.compile(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py"),
    TestRunner.NODE: _SCRIPT,
    TestRunner.JEST: _SCRIPT,
    TestRunner.VITEST: _SCRIPT,
    TestRunner.MOCHA: _SCRIPT,
    TestRunner.GO: re.compile(r"(?:.*/)?[^/]*_test\.go"),
    TestRunner.CARGO: re.compile(r"(?:.*/)?tests/[^/]*\.rs"),
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What is random of one file's: words of letters alone, and two numbers of which the first is the smaller."""

    words: tuple[str, ...]
    reason: str
    left: int
    right: int


@dataclass(frozen=True, kw_only=True)
class Added:
    """What goes to the end of a file. fails: names of the tests that must; quietly: how those of a quiet one end."""

    text: str
    passes: str
    fails: tuple[str, ...]
    quietly: CaseOutcome


def can_hold(runner: TestRunner, path: str) -> bool:
    """Whether a file of that name could be added to for that runner."""
    pattern = _HELD.get(runner)
    return pattern is not None and pattern.fullmatch(path) is not None


def added(runner: TestRunner, path: str, content: bytes, drawn: Drawn, *, loud: bool) -> Added | None:
    """What that file would get; None where there is no form for it."""
    form = _FORMS.get(runner)
    return form(path, content, drawn, loud) if form is not None and can_hold(runner, path) else None


def is_module(path: str, content: bytes) -> bool:
    """Whether a script is an ECMAScript module: by its name, else by what stands in it."""
    told = _SCRIPT.fullmatch(path)
    kind = told["kind"] if told else ""
    if kind in {"mjs", "mts"}:
        return True
    return kind not in {"cjs", "cts"} and _MODULE.search(content.decode("utf-8", "replace")) is not None


def _pytest(_path: str, _content: bytes, drawn: Drawn, loud: bool) -> Added:  # noqa: FBT001 - a form's one switch
    """Three ways to fail, for each can be bent without the others: assert, unittest's methods, pytest.raises."""
    passes, *fails = (f"test_{word}" for word in drawn.words)
    # Imported where it is used: a name of the file's own must not stand for it.
    mark = "" if loud else f'@__import__("pytest").mark.xfail(strict=True, reason="{drawn.reason}")\n'
    bodies = (
        f"assert {drawn.left} == {drawn.right}",
        f'__import__("unittest").TestCase().assertEqual({drawn.left}, {drawn.right})',
        'with __import__("pytest").raises(LookupError):\n        int("1")',
    )
    text = f"\n\n\ndef {passes}():\n    assert {drawn.left} < {drawn.right}\n"
    text += "".join(f"\n\n{mark}def {name}():\n    {body}\n" for name, body in zip(fails, bodies, strict=False))
    return Added(text=text, passes=passes, fails=tuple(fails[: len(bodies)]), quietly=CaseOutcome.SKIPPED)


def _node(path: str, content: bytes, drawn: Drawn, loud: bool) -> Added:  # noqa: FBT001 - as above
    """A way to fail for each thing that tests say with node:assert, for each can be bent alone."""
    passes, *fails = (f"test_{word}" for word in drawn.words)
    test, check = f"t{drawn.reason}", f"a{drawn.reason}"
    todo = "" if loud else f"{{ todo: '{drawn.reason}' }}, "
    if is_module(path, content):
        head = f"import {test} from 'node:test';\nimport {check} from 'node:assert';"
    else:
        head = f"const {test} = require('node:test');\nconst {check} = require('node:assert');"
    bodies = (
        f"strictEqual({drawn.left}, {drawn.right})",
        f"deepStrictEqual([{drawn.left}], [{drawn.right}])",
        f"deepEqual([{drawn.left}], [{drawn.right}])",
        f"equal({drawn.left}, {drawn.right})",
        f"ok({drawn.right} < {drawn.left})",
        f"throws(() => {drawn.left})",
    )
    text = f"\n;{head}\n{test}('{passes}', () => {{ {check}.strictEqual({drawn.left}, {drawn.left}); }});\n"
    text += "".join(
        f"{test}('{name}', {todo}() => {{ {check}.{body}; }});\n" for name, body in zip(fails, bodies, strict=False)
    )
    return Added(text=text, passes=passes, fails=tuple(fails[: len(bodies)]), quietly=CaseOutcome.SKIPPED)


def _jest(_path: str, _content: bytes, drawn: Drawn, loud: bool) -> Added:  # noqa: FBT001 - as above
    passes, first, second, *_ = (f"test_{word}" for word in drawn.words)
    form = "test" if loud else "test.failing"
    text = f"""
;test('{passes}', () => {{ expect({drawn.left}).toBe({drawn.left}); }});
{form}('{first}', () => {{ expect({drawn.left}).toBe({drawn.right}); }});
{form}('{second}', () => {{ expect(() => {drawn.left}).toThrow(); }});
"""
    return Added(text=text, passes=passes, fails=(first, second), quietly=CaseOutcome.PASSED)


def _vitest(_path: str, _content: bytes, drawn: Drawn, loud: bool) -> Added:  # noqa: FBT001 - as above
    passes, first, second, *_ = (f"test_{word}" for word in drawn.words)
    test, expect = f"t{drawn.reason}", f"e{drawn.reason}"
    form = test if loud else f"{test}.fails"
    text = f"""
;import {{ test as {test}, expect as {expect} }} from 'vitest';
{test}('{passes}', () => {{ {expect}({drawn.left}).toBe({drawn.left}); }});
{form}('{first}', () => {{ {expect}({drawn.left}).toBe({drawn.right}); }});
{form}('{second}', () => {{ {expect}(() => {drawn.left}).toThrow(); }});
"""
    return Added(text=text, passes=passes, fails=(first, second), quietly=CaseOutcome.PASSED)


def _mocha(_path: str, _content: bytes, drawn: Drawn, loud: bool) -> Added:  # noqa: FBT001 - as above
    passes, first, *_ = (f"test_{word}" for word in drawn.words)
    failing = f"it('{first}', () => {{ throw new Error('{drawn.reason}'); }});\n" if loud else ""
    text = f"\n;it('{passes}', () => {{}});\n{failing}"
    return Added(text=text, passes=passes, fails=(first,) if loud else (), quietly=CaseOutcome.FAILED)


def _go(_path: str, content: bytes, drawn: Drawn, loud: bool) -> Added | None:  # noqa: FBT001 - as above
    """Into the file itself, which has to import `testing`: a package's tests are one program."""
    if not _GO_TESTING.search(content.decode("utf-8", "replace")):
        return None
    passes, first, *_ = (f"Test{word.capitalize()}" for word in drawn.words)
    text = f"\nfunc {passes}(t *testing.T) {{}}\n"
    if loud:
        text += f'\nfunc {first}(t *testing.T) {{\n\tt.Error("{drawn.reason}")\n}}\n'
    return Added(text=text, passes=passes, fails=(first,) if loud else (), quietly=CaseOutcome.FAILED)


def _cargo(_path: str, _content: bytes, drawn: Drawn, loud: bool) -> Added:  # noqa: FBT001 - as above
    passes, first, *_ = (f"test_{word}" for word in drawn.words)
    should = "" if loud else "#[should_panic]\n"
    text = f"""
#[test]
fn {passes}() {{}}

{should}#[test]
fn {first}() {{
    assert_eq!({drawn.left}, {drawn.right});
}}
"""
    return Added(text=text, passes=passes, fails=(first,), quietly=CaseOutcome.PASSED)


_Form = Callable[[str, bytes, Drawn, bool], Added | None]
_FORMS: Final[Mapping[TestRunner, _Form]] = {
    TestRunner.PYTEST: _pytest,
    TestRunner.NODE: _node,
    TestRunner.JEST: _jest,
    TestRunner.VITEST: _vitest,
    TestRunner.MOCHA: _mocha,
    TestRunner.GO: _go,
    TestRunner.CARGO: _cargo,
}
