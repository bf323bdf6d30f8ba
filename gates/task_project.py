"""What a Makefile or a justfile says of a repository's tests. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gates.ecosystem import TIMEOUT_S, Found, Gate, Read

# Where each program looks, in its order (GNU make manual, "What Name to Give Your Makefile"; just's manual).
_MAKEFILES: Final = ("GNUmakefile", "makefile", "Makefile")
_JUSTFILES: Final = ("justfile", ".justfile")
_WANTED: Final = ("test", "check")
_MAX_BYTES: Final = 1024 * 1024
_MAX_LINE: Final = 2000
# A rule at the margin; `test := x`, `test ::= x` and `test = x` are variables, and a recipe's lines begin with a tab.
_RULE: Final = re.compile(r"(?P<targets>[^\s:#=][^:#=]*?)\s*::?(?![:=])")
# A recipe with its parameters and dependencies, or an alias of one; `test := x` is a variable.
_RECIPE: Final = re.compile(r"@?(?P<name>[A-Za-z_][\w-]*)(?P<arguments>[^:#]*):(?!=)|alias\s+(?P<alias>[\w-]+)\s*:=")


def make_project(paths: Sequence[str], read: Read) -> Found | None:
    """`make test`, else `make check`, where the Makefile has such a target of its own; None otherwise."""
    here = next((name for name in _MAKEFILES if name in paths), None)
    if here is None:
        return None
    targets: set[str] = set()
    for line in _lines(read(here)):
        told = _RULE.match(line)
        targets.update(told["targets"].split() if told else ())
    return _running("make", targets)


def just_project(paths: Sequence[str], read: Read) -> Found | None:
    """`just test`, else `just check`, where the justfile has such a recipe that needs no argument; None otherwise."""
    here = next((path for path in sorted(paths) if path.lower() in _JUSTFILES), None)
    if here is None:
        return None
    recipes: set[str] = set()
    for line in _lines(read(here)):
        told = _RECIPE.match(line)
        if told and all("=" in one or one.startswith("*") for one in (told["arguments"] or "").split()):
            recipes.add(told["name"] or told["alias"])
    return _running("just", recipes)


def _running(program: str, known: set[str]) -> Found | None:
    wanted = next((name for name in _WANTED if name in known), None)
    if wanted is None:
        return None
    gate = Gate(name="test", run=f"{program} {wanted}", junit=None, timeout_s=TIMEOUT_S, printed=True)
    return Found(gate=gate)


def _lines(data: bytes | None) -> list[str]:
    lines = (data or b"")[:_MAX_BYTES].decode("utf-8", "replace").splitlines()
    return [line[:_MAX_LINE] for line in lines]
