"""Manifests that also say how tests are run: the change's, with what the base says of that. Pure.

What one says of dependencies stays the change's where the two can be told apart in the file (JSON, go.mod). TOML, INI
and XML cannot be written back as they were: where their sections for tests differ, the base's whole file is used.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

_MAX_BYTES: Final = 2 * 1024 * 1024
_PACKAGE: Final = ("scripts", "jest", "vitest", "mocha", "c8", "nyc", "ava", "tap", "babel", "eslintConfig", "nx")
_TOOLS: Final = re.compile(r"pytest.*|coverage.*|tox|nox|hypothesis|poe|taskipy|ruff|mypy|pyright|pylint|flake8|black")
# What else a setup.cfg holds says nothing of tests; a section that is not known might.
_INDIFFERENT: Final = re.compile(r"\[(?:metadata|options(?:\.[\w.]+)?|bdist_wheel|wheel|sdist|egg_info|build_ext)\]")
_TARGET: Final = ("test", "doctest", "harness", "path", "name", "required-features")
_POM_TAGS: Final = frozenset({"testSourceDirectory", "testResources", "testOutputDirectory", "extensions", "parent"})
_POM_PROPERTY: Final = re.compile(
    r"(?:skip|maven\.test\.|surefire\.|failsafe\.).*|tests?|it\.test|groups|excludedGroups|argLine"
)
_POM_PLUGIN: Final = re.compile(r".*(?:surefire|failsafe|antrun|exec-maven|groovy|gmaven).*")
_REPLACE: Final = re.compile(r"\s*replace\b\s*(?P<block>\(?)")


class _Unread(Exception):
    """The manifest cannot be read, so what it says cannot be compared."""


def base_sections(path: str, base: bytes, head: bytes) -> bytes | None:
    """The content of the manifest to judge with; None where the change's says the same of tests as the base's.

    One that cannot be read is not believed to say the same: then it is the base's. base b"": the base has none.
    """
    name = path.rsplit("/", 1)[-1]
    if base == head:
        return None
    if max(len(base), len(head)) > _MAX_BYTES:
        return base
    try:
        if name == "package.json":
            return _spliced(base, head)
        if name == "go.mod":
            return _replaced(base, head)
        told = _TOLD.get(name)
        return None if told is None or told(base) == told(head) else base
    except _Unread:
        return base


def _spliced(base: bytes, head: bytes) -> bytes | None:
    ours, theirs = _object(base), _object(head)
    if all(ours.get(one) == theirs.get(one) for one in _PACKAGE):
        return None
    kept = {key: value for key, value in theirs.items() if key not in _PACKAGE}
    kept |= {key: ours[key] for key in _PACKAGE if key in ours}
    try:
        return json.dumps(kept, indent=2).encode("utf-8") + b"\n"
    except RecursionError as exc:
        raise _Unread from exc


def _object(data: bytes) -> dict[str, Any]:
    if not data:
        return {}
    try:
        told = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        raise _Unread from exc
    if not isinstance(told, dict):
        raise _Unread
    return told


def _replaced(base: bytes, head: bytes) -> bytes | None:
    """With the base's `replace` directives: by them, any module stands for any other, a test's own too."""
    try:
        ours, theirs = base.decode("utf-8"), head.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise _Unread from exc
    wanted, (kept, present) = _directives(ours)[1], _directives(theirs)
    return None if wanted == present else "\n".join((*kept, *wanted, "")).encode("utf-8")


def _directives(text: str) -> tuple[list[str], list[str]]:
    """The lines that are of no `replace` directive, and those that are."""
    others: list[str] = []
    found: list[str] = []
    inside = False
    for line in text.rstrip("\n").split("\n"):
        told = None if inside else _REPLACE.match(line)
        (found if inside or told else others).append(line)
        inside = (inside or bool(told and told["block"])) and ")" not in line.partition("//")[0]
    return others, found


def _pyproject(data: bytes) -> object:
    told = _toml(data)
    project = _table(told.get("project"))
    tools = {name: value for name, value in _table(told.get("tool")).items() if _TOOLS.fullmatch(name)}
    return tools, _table(project.get("entry-points")).get("pytest11")


def _setup_cfg(data: bytes) -> object:
    """Its lines but for those of sections that are known to say nothing of tests."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise _Unread from exc
    held: list[str] = []
    counts = True
    for line in text.splitlines():
        # Some that read this file take an indented header for one.
        if line.lstrip().startswith("["):
            counts = _INDIFFERENT.fullmatch(line.rstrip()) is None
        if counts and line.strip() and not line.startswith(("#", ";")):
            held.append(line.rstrip())
    return held


def _cargo(data: bytes) -> object:
    told = _toml(data)
    package, workspace = _table(told.get("package")), _table(told.get("workspace"))
    listed = [(kind, told.get(kind)) for kind in ("test", "profile", "patch", "replace", "lints")]
    targets = [_flags(told.get("lib")), *(_flags(one) for kind in ("bin", "example") for one in _list(told.get(kind)))]
    return (
        listed,
        [one for one in targets if one],
        [(one, package.get(one)) for one in ("autotests", "build", "edition")],
        [(one, workspace.get(one)) for one in ("default-members", "exclude", "lints")],
    )


def _flags(target: object) -> dict[str, Any]:
    table = _table(target)
    flags: dict[str, Any] = {key: table[key] for key in _TARGET if key in table}
    return flags if flags.keys() - {"path", "name", "required-features"} else {}


def _pom(data: bytes) -> object:
    if not data:
        return []
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as exc:
        raise _Unread from exc
    held = []
    for one in root.iter():
        tag = _tag(one)
        if tag in _POM_TAGS or (tag == "plugin" and _POM_PLUGIN.fullmatch(_artifact(one))):
            held.append(_shape(one))
        elif tag == "properties":
            held += [_shape(each) for each in one if _POM_PROPERTY.fullmatch(_tag(each))]
    return held


def _shape(element: Element) -> object:
    """An element as its tags and texts, without white space and comments; without recursion, for it may be deep."""
    return [(_tag(one), (one.text or "").strip()) for one in element.iter()]


def _artifact(plugin: Element) -> str:
    return next(((one.text or "").strip() for one in plugin if _tag(one) == "artifactId"), "")


def _tag(element: Element) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def _toml(data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise _Unread from exc


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


_TOLD: Final[Mapping[str, Callable[[bytes], object]]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "Cargo.toml": _cargo,
    "pom.xml": _pom,
}
