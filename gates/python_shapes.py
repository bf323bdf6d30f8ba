"""Shapes in Python source that signs are made of: texts put together, answers that never change, closing work. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from gates.languages import dotted

_MAX_DEPTH: Final = 40
_CLOSING: Final = re.compile(
    r"_*(?:close|shut_?down|stop|clean_?up|disconnect|terminate|join|flush|release|clear|dispose|quit|unlink|remove|rmtree"
    r"|kill|finish|cancel|restore|reset|logout|unlock|deinit|destroy|teardown|tear_down)(?:_\w+)?",
    re.IGNORECASE,
)
_DEED: Final = re.compile(
    r"(?:.*\.)?(?:open|write\w*|_exit|exit|system|popen|Popen|run|exec\w*|eval|fork|replace|rename|touch|dump)"
)
_ANSWERS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__", "__bool__"), True),
    **dict.fromkeys(("__instancecheck__", "__subclasscheck__"), True),
    "__ne__": False,
}
_ARGUMENT_READERS: Final = frozenset({"argparse", "optparse", "getopt", "click", "typer"})
_SCALARS: Final = frozenset({"str", "int", "float", "bool", "bytes", "complex"})


def folded(node: ast.AST | None, depth: int = 0) -> str:
    """The text that constants add up to, as `"py" + "test"`; "" where it is none."""
    if depth > _MAX_DEPTH:
        return ""
    match node:
        case ast.Constant(value=value):
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        case ast.BinOp(left=left, op=ast.Add() | ast.Div(), right=right):
            first, second = folded(left, depth + 1), folded(right, depth + 1)
            return f"{first}{'/' if isinstance(node.op, ast.Div) and first else ''}{second}" if second else first
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(between)), attr="join"),
            args=[ast.List() | ast.Tuple() as of],
        ):
            return between.join(folded(one, depth + 1) for one in of.elts)
        case ast.JoinedStr(values=values):
            return "".join(folded(value, depth + 1) for value in values if isinstance(value, ast.Constant))
    return ""


def imported_from(tree: ast.Module) -> Mapping[str, str]:
    """What each name that the file imports stands for: `e` for "os._exit" after `from os import _exit as e`."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.split(".", 1)[0]] = (
                    alias.name if alias.asname else alias.name.split(".", 1)[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return known


def doing_more(tree: ast.Module) -> frozenset[str]:
    """Names of the file's functions that do more than close something: they write, run or end."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if not _harmless(function))


def closes_only(work: ast.expr, more: frozenset[str]) -> bool:
    """Whether a function for the process's end only closes something, by its name and by what it does if it is here.

    more: what `doing_more` says of the file.
    """
    if isinstance(work, ast.Lambda):
        called = [dotted(node.func).rsplit(".", 1)[-1] for node in ast.walk(work.body) if isinstance(node, ast.Call)]
        return _harmless(work.body) and any(_CLOSING.fullmatch(name) for name in called)
    if isinstance(work, ast.Call):
        return dotted(work.func).rsplit(".", 1)[-1] == "partial" and bool(work.args) and closes_only(work.args[0], more)
    name = dotted(work).rsplit(".", 1)[-1]
    return _CLOSING.fullmatch(name) is not None and name not in more


def dies_doing_more(function: ast.FunctionDef, more: frozenset[str]) -> bool:
    """Whether it is a `__del__` that does more than close something."""
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return function.name == "__del__" and (
        not _harmless(function) or any(isinstance(one, ast.Name) and one.id in more for one in called)
    )


def looked_up_harmlessly(tree: ast.Module) -> frozenset[int]:
    """Ids of `x.modules` where one module is looked for by a name that is written out, or the file's own."""
    found: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Attribute(attr="modules") as where, slice=ast.Name() | ast.Attribute() as key):
                if dotted(key).endswith(("__name__", "__module__", "__package__")):
                    found.add(id(where))
            case ast.Subscript(value=ast.Attribute(attr="modules") as where, slice=ast.Constant()):
                found.add(id(where))
            case ast.Compare(left=ast.Constant(), comparators=[ast.Attribute(attr="modules") as where]):
                found.add(id(where))
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="modules") as where), args=[ast.Constant(), *_]):
                found.add(id(where))
    return frozenset(found)


def is_command_line(tree: ast.Module) -> bool:
    """Whether the file is a program's, or reads its arguments as programs do."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name="main") | ast.Name(id="__name__"):
                return True
            case ast.Import(names=names) if any(
                one.name in {"argparse", "optparse", "getopt", "click"} for one in names
            ):
                return True
    return False


def constant_answers(node: ast.ClassDef) -> Iterator[str]:
    """Comparisons of a class that have one answer for everything, or that a plain value's subclass makes its own."""
    scalar = any(dotted(one).removeprefix("builtins.") in _SCALARS for one in node.bases)
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name in _ANSWERS:
            if _answer(one) is _ANSWERS[one.name]:
                yield f"has a {one.name} that is {_ANSWERS[one.name]} for everything"
            elif scalar and one.name in {"__eq__", "__ne__"}:
                yield "compares a plain value in a way of its own"
        elif isinstance(one, ast.Assign) and isinstance(one.value, ast.Lambda):
            names = {target.id for target in one.targets if isinstance(target, ast.Name)}
            body = one.value.body
            for name in sorted(names & _ANSWERS.keys()):
                if isinstance(body, ast.Constant) and body.value is _ANSWERS[name]:
                    yield f"has a {name} that is {_ANSWERS[name]} for everything"


def _answer(function: ast.FunctionDef) -> object:
    """The one constant that it returns; None where it does anything else."""
    body = [one for one in function.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    if len(body) == 1 and isinstance(body[0], ast.Return) and isinstance(body[0].value, ast.Constant):
        return body[0].value.value
    return None


def _harmless(body: ast.AST) -> bool:
    return not any(isinstance(node, ast.Call) and _DEED.fullmatch(dotted(node.func)) for node in ast.walk(body))
