"""Source that answers what its tests ask with what they expect, instead of working it out. Pure.

Only a hint, as a rule: tables of names and codes look the same, and are tested with their own values. Python only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gates.languages import Language, dotted, language_of, python_tree
from gates.text import clean

MAX_TOLD: Final = 12
_MAX_TESTS: Final = 200
_MAX_GROUPS: Final = 5000
_MAX_LITERALS: Final = 40
_MAX_PAIRS: Final = 500
_TOLD_CHARS: Final = 200
_LONG: Final = 12
_LARGE: Final = 1000
_MANY: Final = 2
_PLAIN: Final = frozenset({"0", "1", "2", "-1", "10", "100", "True", "False", "None", "''", "()", "[]", "{}"})


@dataclass(frozen=True, kw_only=True)
class SpecialCases:
    """strong: several inputs that hardly anything but the tests has; hints: all the others. A line each, bounded."""

    strong: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Pair:
    function: str
    line: int
    asked: str
    answered: str
    rare: bool


def special_cased(path: str, old: bytes | None, new: bytes, tests: Mapping[str, bytes]) -> SpecialCases:
    """What the change added to that file of the kind, by function.

    tests: the test files that there are, path to content; those of the change too.
    """
    if language_of(path) is not Language.PYTHON:
        return SpecialCases()
    tree = python_tree(new)
    if tree is None:
        return SpecialCases()
    before, asserted = python_tree(old), _together(tests)
    try:
        had = (
            {(pair.asked, pair.answered) for pair in islice(_pairs(before), 4 * _MAX_PAIRS)}
            if before is not None
            else set()
        )
        found = [
            pair
            for pair in islice(_pairs(tree), _MAX_PAIRS)
            if (pair.asked, pair.answered) not in had and _shown(pair, asserted)
        ]
    except RecursionError:
        return SpecialCases()
    strong: list[str] = []
    hints: list[str] = []
    for function in dict.fromkeys(pair.function for pair in found):
        mine = [pair for pair in found if pair.function == function]
        first = ", ".join(f"{pair.asked} -> {pair.answered}" for pair in mine[:3])
        told = clean(
            f"{path}:{mine[0].line} {function} answers {len(mine)} of its tests' inputs from a list: {first}", 200
        )
        (strong if sum(pair.rare for pair in mine) >= _MANY else hints).append(told)
    return SpecialCases(strong=tuple(strong[:MAX_TOLD]), hints=tuple(hints[:MAX_TOLD]))


def _shown(pair: _Pair, asserted: frozenset[frozenset[str]]) -> bool:
    wanted = {*pair.asked.split(" and "), pair.answered}
    return not wanted <= _PLAIN and any(wanted <= group for group in asserted)


def _together(tests: Mapping[str, bytes]) -> frozenset[frozenset[str]]:
    """Literals that stand in one assertion of a test, or in one case of its parameters."""
    groups: set[frozenset[str]] = set()
    for path in sorted(tests)[:_MAX_TESTS]:
        tree = python_tree(tests[path]) if language_of(path) is Language.PYTHON else None
        for node in ast.walk(tree) if tree is not None else ():
            one = isinstance(node, ast.Assert | ast.Tuple) or (
                isinstance(node, ast.Call) and "assert" in dotted(node.func)
            )
            if one and len(groups) < _MAX_LITERALS:
                groups.add(frozenset(list(_literals(node))[:40]))
    return frozenset(groups)


def _literals(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        text = _literal(inner) if isinstance(inner, ast.expr) else None
        if text is not None:
            yield text


def _literal(node: ast.expr | None) -> str | None:
    """How a constant is written, or a container of nothing else; None for what is computed."""
    if node is None:
        return None
    try:
        return repr(ast.literal_eval(node))[:400]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _pairs(tree: ast.Module) -> Iterator[_Pair]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = {one.arg for one in (*function.args.args, *function.args.kwonlyargs, *function.args.posonlyargs)}
        for node in ast.walk(function):
            for line, asked, answer in _answers(node, given):
                answered = _literal(answer)
                if asked and answered is not None:
                    rare = len(asked) > 1 or any(_rare(one) for one in asked)
                    yield _Pair(
                        function=function.name, line=line, asked=" and ".join(asked), answered=answered, rare=rare
                    )


def _answers(node: ast.AST, given: set[str]) -> Iterator[tuple[int, tuple[str, ...], ast.expr | None]]:
    """Inputs that are compared with, and what is then answered: by `if`, by a conditional, by a look-up, by `match`."""
    match node:
        case ast.If(test=test, body=[ast.Return(value=value), *_]):
            yield node.lineno, _compared(test, given), value
        case ast.IfExp(test=test, body=value):
            yield node.lineno, _compared(test, given), value
        case ast.Subscript(value=ast.Dict() as table, slice=key) if _of_given(key, given):
            yield from _table(table)
        case ast.Call(func=ast.Attribute(value=ast.Dict() as table, attr="get"), args=[key, *_]) if _of_given(
            key, given
        ):
            yield from _table(table)
        case ast.Match(subject=subject, cases=cases) if _of_given(subject, given):
            for one in cases:
                if isinstance(one.pattern, ast.MatchValue) and one.body and isinstance(one.body[0], ast.Return):
                    asked = _literal(one.pattern.value)
                    yield one.body[0].lineno, (asked,) if asked else (), one.body[0].value


def _table(table: ast.Dict) -> Iterator[tuple[int, tuple[str, ...], ast.expr | None]]:
    for key, value in zip(table.keys, table.values, strict=True):
        asked = _literal(key)
        yield table.lineno, (asked,) if asked else (), value


def _compared(test: ast.expr, given: set[str]) -> tuple[str, ...]:
    """The literals that arguments have to be equal to for the test to hold."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            for one, other in ((left, right), (right, left)):
                literal = _literal(other)
                if literal is not None and _of_given(one, given):
                    return (literal,)
        case ast.BoolOp(op=ast.And(), values=values):
            return tuple(literal for value in values for literal in _compared(value, given))
    return ()


def _of_given(node: ast.expr, given: set[str]) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id in given for inner in ast.walk(node))


def _rare(literal: str) -> bool:
    """Whether it is hardly a code or a name: long, large, broken, or made of parts."""
    if literal.startswith(("'", '"', "b'")):
        return len(literal) > _LONG + 2
    try:
        return abs(float(literal)) >= _LARGE or float(literal) != int(float(literal))
    except (ValueError, OverflowError):
        return literal.startswith(("(", "[", "{")) and len(literal) > _LONG
