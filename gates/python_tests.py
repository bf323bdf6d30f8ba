"""What each test of a Python file does not ask: skips, bodies that do nothing, assertions that always hold. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gates.languages import dotted

WHOLE_FILE: Final = "the whole file"
_SKIPS: Final = re.compile(r"(?:.*\.)?(?:skip|skipif|skipIf|skipUnless|skipTest|SkipTest|importorskip)")
_EXPECTED: Final = re.compile(r"(?:.*\.)?(?:xfail|expectedFailure)")
_CATCHES_ALL: Final = frozenset({"AssertionError", "Exception", "BaseException"})
_TRUE_FOR: Final = re.compile(r"assertTrue|assert_true|assertIsNotNone|ok_")
_SAME_FOR: Final = re.compile(r"assertEqual|assertEquals|assertIs|assertAlmostEqual|assertListEqual|assertDictEqual")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one test, or what stands outside of tests, does not ask. Numbers are counts of places."""

    skips: int = 0
    expected_to_fail: int = 0
    always_true: int = 0
    swallowed: int = 0
    broad: int = 0
    unreached: int = 0
    cases: int | None = None
    empty: bool = False
    twice: bool = False

    def less_than(self, before: Told) -> tuple[str, ...]:
        """How it asks less than it did, in words that follow the test's name."""
        said = (
            ("is skipped, always or under a condition", self.skips > before.skips),
            ("is expected to fail", self.expected_to_fail > before.expected_to_fail),
            ("has an empty body", self.empty and not before.empty),
            ("asserts what is always true", self.always_true > before.always_true),
            ("swallows the failure of its own assertion", self.swallowed > before.swallowed),
            ("expects any exception at all", self.broad > before.broad),
            ("has assertions that are never reached", self.unreached > before.unreached),
            (
                "is given fewer cases",
                None not in (self.cases, before.cases) and (self.cases or 0) < (before.cases or 0),
            ),
            ("is defined twice, so that one of them never runs", self.twice and not before.twice),
        )
        return tuple(words for words, so in said if so)


def tests_in(tree: ast.Module) -> Mapping[str, Told]:
    """Each test by its name, a method as `Class.method`, and what concerns all of them under WHOLE_FILE."""
    found: dict[str, Told] = {WHOLE_FILE: _outside(tree.body)}
    for name, test in _tests(tree.body, ""):
        told = _told(test, twice=name in found)
        found[name] = told
    return found


def _tests(body: Sequence[ast.stmt], within: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test"):
            yield f"{within}{one.name}", one
        elif isinstance(one, ast.ClassDef) and within.count(".") < 3:
            yield from _tests(one.body, f"{within}{one.name}.")


def _outside(body: Sequence[ast.stmt]) -> Told:
    """What is said once for many tests: marks of the file, of classes, and skips as it is imported."""
    skips = expected = 0
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(one, ast.ClassDef):
            inner = _outside(one.body)
            names = [dotted(_called(mark)) for mark in one.decorator_list]
            skips += inner.skips + sum(bool(_SKIPS.fullmatch(name)) for name in names)
            expected += inner.expected_to_fail + sum(bool(_EXPECTED.fullmatch(name)) for name in names)
            continue
        names = [dotted(node) for node in ast.walk(one) if isinstance(node, ast.Attribute | ast.Name)]
        skips += sum(bool(_SKIPS.fullmatch(name)) for name in names) + _uncollected(one)
        expected += sum(bool(_EXPECTED.fullmatch(name)) for name in names)
    return Told(skips=skips, expected_to_fail=expected)


def _uncollected(one: ast.stmt) -> int:
    """Whether it says of itself that it holds no tests, or that a loop takes them away."""
    if isinstance(one, ast.Delete):
        return sum(isinstance(name, ast.Name) and name.id.startswith(("test", "Test")) for name in one.targets)
    if not isinstance(one, ast.Assign) or not isinstance(one.value, ast.Constant):
        return 0
    return sum(dotted(target).endswith("__test__") and not one.value.value for target in one.targets)


def _told(test: ast.FunctionDef | ast.AsyncFunctionDef, *, twice: bool) -> Told:
    marks = [dotted(_called(mark)) for mark in test.decorator_list]
    inside = [node for statement in test.body for node in ast.walk(statement)]
    called = [dotted(_called(node)) for node in inside if isinstance(node, ast.Call | ast.Raise)]
    cases = [_cases(mark) for mark in test.decorator_list if dotted(_called(mark)).endswith("parametrize")]
    known = [count for count in cases if count is not None]
    return Told(
        skips=sum(bool(_SKIPS.fullmatch(name)) for name in (*marks, *called)),
        expected_to_fail=sum(bool(_EXPECTED.fullmatch(name)) for name in (*marks, *called)),
        always_true=sum(_always_true(node) for node in inside),
        swallowed=sum(_swallows(node) for node in inside),
        broad=sum(_broad(node) for node in inside),
        unreached=_unreached(test.body),
        cases=sum(known) if known else None,
        empty=all(_does_nothing(statement) for statement in test.body),
        twice=twice,
    )


def _called(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Raise):
        return None if node.exc is None else _called(node.exc)
    if isinstance(node, ast.Call):
        return node.func
    return node if isinstance(node, ast.expr) else None


def _does_nothing(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (
            isinstance(statement, ast.Return) and (statement.value is None or isinstance(statement.value, ast.Constant))
        )
    )


def _always_true(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return _holds(node.test)
    if not isinstance(node, ast.Call):
        return False
    name = dotted(node.func).rsplit(".", 1)[-1]
    if _TRUE_FOR.fullmatch(name) and node.args:
        return _holds(node.args[0])
    return _SAME_FOR.fullmatch(name) is not None and len(node.args) > 1 and _same(node.args[0], node.args[1])


def _holds(test: ast.expr) -> bool:
    """Whether the expression is true whatever the code under test does."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return bool(elts)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Constant(value=value)):
            return not value
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(_holds(value) for value in values)
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_holds(value) for value in values)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is() | ast.LtE() | ast.GtE()], comparators=[right]):
            return _same(left, right) or "ANY" in {dotted(side).rsplit(".", 1)[-1] for side in (left, right)}
        case ast.Compare(left=ast.Call(func=ast.Name(id="len")), ops=[ast.GtE()], comparators=[ast.Constant(value=0)]):
            return True
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id="object")]):
            return True
        case ast.Lambda() | ast.JoinedStr():
            return True
    return False


def _same(left: ast.expr, right: ast.expr) -> bool:
    """Whether both sides are one expression that nothing computes anew."""
    if any(isinstance(node, ast.Call | ast.Await) for node in ast.walk(left)):
        return False
    try:
        return ast.dump(left) == ast.dump(right)
    except RecursionError:
        return False


def _asserts_within(body: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and dotted(node.func).rsplit(".", 1)[-1].startswith("assert"))
        for statement in body
        for node in ast.walk(statement)
    )


def _swallows(node: ast.AST) -> bool:
    if isinstance(node, ast.Try):
        return _asserts_within(node.body) and any(
            _catches(one.type) and not any(isinstance(inner, ast.Raise | ast.Assert) for inner in ast.walk(one))
            for one in node.handlers
        )
    if not isinstance(node, ast.With | ast.AsyncWith):
        return False
    managers = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
    return _asserts_within(node.body) and any(
        dotted(one.func).rsplit(".", 1)[-1] in {"suppress", "raises"} and any(_catches(arg) for arg in one.args[:3])
        for one in managers
    )


def _catches(type_: ast.expr | None) -> bool:
    if type_ is None:
        return True
    if isinstance(type_, ast.Tuple):
        return any(_catches(one) for one in type_.elts)
    return dotted(type_).rsplit(".", 1)[-1] in _CATCHES_ALL


def _broad(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not node.args:
        return False
    named = dotted(node.func).rsplit(".", 1)[-1] in {"raises", "assertRaises", "assertRaisesRegex"}
    return named and dotted(node.args[0]).rsplit(".", 1)[-1] in {"Exception", "BaseException"}


def _unreached(body: Sequence[ast.stmt]) -> int:
    """Assertions after a statement that always leaves, or under a condition that never holds."""
    count = 0
    for index, one in enumerate(body):
        if isinstance(one, ast.Return | ast.Raise) and _asserts_within(body[index + 1 :]):
            count += 1
        never = isinstance(one, ast.If | ast.While) and isinstance(one.test, ast.Constant | ast.Name)
        if never and isinstance(one, ast.If | ast.While) and _never(one.test):
            count += _asserts_within(one.body)
        if isinstance(one, ast.For) and isinstance(one.iter, ast.Tuple | ast.List) and not one.iter.elts:
            count += _asserts_within(one.body)
    return count


def _never(test: ast.expr) -> bool:
    return (isinstance(test, ast.Constant) and not test.value) or dotted(test) == "TYPE_CHECKING"


def _cases(mark: ast.expr) -> int | None:
    if not isinstance(mark, ast.Call) or len(mark.args) < 2:
        return None
    values = mark.args[1]
    return len(values.elts) if isinstance(values, ast.List | ast.Tuple | ast.Set) else None
