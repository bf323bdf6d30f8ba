"""Signs in Python source that it knows of the test run that judges it, as its syntax tree shows them. Pure."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gates import python_sign_words as words
from gates.languages import dotted
from gates.python_shapes import (
    closes_only,
    constant_answers,
    dies_doing_more,
    doing_more,
    folded,
    imported_from,
    is_command_line,
    looked_up_harmlessly,
)
from gates.python_tricks import tricks


@dataclass(frozen=True, kw_only=True)
class Sign:
    """One place. what: in words that follow the place. named: a name, which is told only the first time."""

    line: int
    what: str
    named: bool = False


def python_signs(path: str, tree: ast.Module) -> tuple[Sign, ...]:
    """Every sign of the file, in no particular order of importance."""
    known, more = imported_from(tree), doing_more(tree)
    docs = _docstrings(tree)
    at_import = frozenset(id(node) for node in _at_import(path, tree.body))
    passed_over = looked_up_harmlessly(tree)
    quiet = frozenset({"sys.argv", "sys.orig_argv"}) if is_command_line(tree) else frozenset[str]()
    found: list[Sign] = []
    for node in ast.walk(tree):
        what = [
            *_of_import(node),
            *_of_text(node, docs),
            *tricks(node),
            *(_of_name(node, known, quiet) if id(node) not in passed_over else ()),
        ]
        if isinstance(node, ast.Call):
            what += _of_call(node, known, more, id(node) in at_import)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            what += _of_assignment(node, known)
        elif isinstance(node, ast.ClassDef):
            what += constant_answers(node)
        elif isinstance(node, ast.FunctionDef):
            if node.name.startswith("pytest_"):
                what.append("has a hook of the test run")
            if dies_doing_more(node, more):
                what.append("does something as an object is let go")
            itself = [ast.Name(id=node.name)]
            what += [one for mark in node.decorator_list for one in _at_end(_full(mark, known), itself, more)]
        elif isinstance(node, ast.Raise) and id(node) in at_import and _full(node.exc, known) in words.EXITS:
            what.append("ends the process as it is imported")
        line = getattr(node, "lineno", 1)
        found += [Sign(line=line, what=one, named=one.startswith(("names", "imports"))) for one in what]
    return tuple(found)


def _full(node: ast.expr | None, known: Mapping[str, str]) -> str:
    """The dotted name with what the file imported put in for its first part: `e` is "os._exit" after such an import."""
    if isinstance(node, ast.Call):
        name = dotted(node.func)
        if name in {"getattr", "operator.attrgetter"} and len(node.args) > 1:
            return f"{_full(node.args[0], known)}.{folded(node.args[1])}"
        return _full(node.func, known)
    name = dotted(node)
    first, _, rest = name.partition(".")
    return ".".join(part for part in (known.get(first, first), rest) if part)


def _of_import(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        modules = [node.module or ""]
    elif isinstance(node, ast.Call) and dotted(node.func).rsplit(".", 1)[-1] in {
        "import_module",
        "__import__",
        "find_spec",
    }:
        modules = [folded(argument) for argument in node.args[:1]]
    else:
        return
    for module in modules:
        if module.split(".", 1)[0] in words.TEST_LIBRARIES or module.startswith("pytest_"):
            yield f"imports {module}"
        elif module.split(".", 1)[0] in {"tests", "conftest"}:
            yield "imports the tests"


def _of_text(node: ast.AST, docs: frozenset[int]) -> Iterator[str]:
    if not isinstance(node, ast.Constant | ast.BinOp | ast.JoinedStr | ast.Call) or id(node) in docs:
        return
    text = folded(node)
    if not text or len(text) > 4096:
        return
    if words.LIBRARY_NAME.fullmatch(text):
        yield "names a test library"
    if words.INNER_NAME.fullmatch(text):
        yield "names what ends a process or looks into one"
    for what, pattern in words.NAMES.items():
        if pattern.search(text):
            yield what


def _of_name(node: ast.AST, known: Mapping[str, str], quiet: frozenset[str]) -> Iterator[str]:
    if not isinstance(node, ast.Attribute | ast.Name | ast.Call):
        return
    if isinstance(node, ast.Call) and dotted(node.func) != "getattr":
        return
    name = _full(node, known)
    if name in quiet:
        return
    if name in words.LOOKS or (
        isinstance(node, ast.Attribute) and node.attr in {"f_back", "gi_frame", "cr_frame", "tb_frame"}
    ):
        yield "looks at who called it"
    elif name in words.TRACES:
        yield f"uses {name}"
    elif name in words.BESIDE:
        yield f"uses {name}, whose process may outlive it"
    elif name in words.ENDS or name in words.ENDS_TOO:
        yield f"uses {name}"


def _of_call(
    node: ast.Call,
    known: Mapping[str, str],
    more: frozenset[str],
    at_import: bool,  # noqa: FBT001 - said of a node
) -> Iterator[str]:
    name = _full(node.func, known)
    if at_import and name in words.EXITS:
        yield "ends the process as it is imported"
    if at_import and name in words.BEGINS | words.BEGINS_TOO:
        yield f"uses {name} as it is imported"
    yield from _at_end(name, node.args, more)
    if name == "signal.signal" and node.args and _full(node.args[0], known).endswith(words.ALARMS):
        yield "is woken by an alarm"
    if name in {"exec", "eval", "compile"} and node.args and _decoded(node.args[0]):
        yield "runs code that it decodes"
    if name in {"setattr", "delattr"} and node.args and _foreign(_full(node.args[0], known), known):
        yield f"replaces a part of {_full(node.args[0], known)}"
    if name in {"os.kill", "os.killpg"} and node.args and _itself(node.args[0], known):
        yield "kills its own process"
    if any(one.arg == "start_new_session" and folded(one.value) != "False" for one in node.keywords):
        yield "starts a process that may outlive it"
    if _equal_to_all(node):
        yield "makes a class that is equal to everything"


def _of_assignment(
    node: ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete, known: Mapping[str, str]
) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
    for target in targets:
        if isinstance(target, ast.Subscript):
            name = _full(target.value, known)
            if name in {"sys.modules", "__builtins__", "builtins.__dict__"}:
                yield f"replaces a part of {name}"
        elif isinstance(target, ast.Attribute):
            name = _full(target, known)
            if _foreign(_full(target.value, known), known) and not words.SETTABLE.fullmatch(name):
                yield f"replaces {name}"
        elif isinstance(target, ast.Name) and target.id in {"AssertionError", "__debug__", "__tracebackhide__"}:
            yield f"replaces {target.id}"


def _foreign(name: str, known: Mapping[str, str]) -> bool:
    """Whether it is a part of Python itself, or of a test library, and not an object of the program's own."""
    first = name.split(".", 1)[0]
    if first in {"builtins", "__builtins__"} or first in words.TEST_LIBRARIES:
        return True
    return first in sys.stdlib_module_names and any(first == one.split(".", 1)[0] for one in known.values())


def _at_end(name: str, arguments: Sequence[ast.expr], more: frozenset[str]) -> Iterator[str]:
    """Work for the end of the process, where it is not only to close something."""
    if name in {"atexit.register", "weakref.finalize", "threading._register_atexit"}:
        work = arguments[1 if name == "weakref.finalize" else 0 :][:1]
        if not work or not closes_only(work[0], more):
            yield "does something at the end of the process"


def _itself(process: ast.expr, known: Mapping[str, str]) -> bool:
    own = isinstance(process, ast.Call) and _full(process, known) in {
        "os.getpid",
        "os.getppid",
        "os.getpgrp",
        "os.getpgid",
    }
    return own or (isinstance(process, ast.Constant) and process.value == 0)


def _decoded(code: ast.expr) -> bool:
    return any(isinstance(node, ast.Call) and words.DECODES.fullmatch(dotted(node.func)) for node in ast.walk(code))


def _equal_to_all(node: ast.Call) -> bool:
    """`type("X", (), {"__eq__": lambda self, other: True})`."""
    if dotted(node.func) != "type" or len(node.args) != 3 or not isinstance(node.args[2], ast.Dict):
        return False
    return any(
        folded(key) == "__eq__" and isinstance(value, ast.Lambda) and isinstance(value.body, ast.Constant)
        for key, value in zip(node.args[2].keys, node.args[2].values, strict=True)
    )


def _docstrings(tree: ast.Module) -> frozenset[int]:
    """The texts that stand as statements: nobody reads them as values."""
    return frozenset(id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr))


def _at_import(path: str, body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """What runs as the file is imported: neither functions' bodies nor what is only for a file that is run itself."""
    if path.rsplit("/", 1)[-1] in {"__main__.py", "setup.py"}:
        return
    waiting: list[ast.AST] = [one for one in body if not _is_main_guard(one)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += getattr(node, "decorator_list", [])
            continue
        yield node
        waiting += [
            one for one in ast.iter_child_nodes(node) if not (isinstance(one, ast.stmt) and _is_main_guard(one))
        ]


def _is_main_guard(one: ast.stmt) -> bool:
    return isinstance(one, ast.If) and any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(one.test)
    )
