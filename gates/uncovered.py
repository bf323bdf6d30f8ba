"""Changed lines that no test runs, by the coverage that a gate left: a hint, never more. Pure.

Formats: coverage.py's JSON, Cobertura XML (coverage.py, c8, many others), Go's cover profile. What cannot be read tells
nothing, and so does a file that is not in it: nobody is told that a line does not run because nobody looked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from gates.findings import MAX_TOLD_CHARS, Finding, FindingKind
from gates.text import clean

LEFT_AS: Final = ("coverage.json", "coverage.xml", "cobertura.xml", "coverage.out")
"""Names, below the directory of a gate's reports, by which coverage is looked for."""
MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_LINES: Final = 500_000
_MAX_LINE: Final = 10_000_000
_RANGES: Final = 6
_FILES: Final = 5
_BLOCK: Final = re.compile(r"(?P<path>[^:\n]+):(?P<first>\d{1,7})\.\d+,(?P<last>\d{1,7})\.\d+ \d+ (?P<count>\d+)$")

Ran = Mapping[str, Mapping[int, bool]]
"""For each file of a coverage report, its lines that hold code, and whether anything ran them."""


def uncovered(data: bytes, changed: Mapping[str, frozenset[int]]) -> Finding | None:
    """What is to be said of the lines of the change that nothing ran; None where all ran, or nobody can tell.

    changed: path from the repository's top to numbers of lines, of source files only.
    """
    ran = read_coverage(data)
    missed = {path: lines for path in sorted(changed) if (lines := _missed(ran, path, changed[path]))}
    if not missed:
        return None
    told = [f"{clean(path, 80)}:{_ranges(lines)}" for path, lines in list(missed.items())[:_FILES]]
    more = f" and in {len(missed) - _FILES} more files" if len(missed) > _FILES else ""
    count = sum(len(lines) for lines in missed.values())
    said = f"no test runs {count} changed line{'' if count == 1 else 's'}: {', '.join(told)}{more}"
    return Finding(kind=FindingKind.UNCOVERED, told=clean(said, MAX_TOLD_CHARS))


def read_coverage(data: bytes) -> Ran:
    """What the report tells, by its own paths; nothing where it is too large, malformed or of another kind."""
    if len(data) > MAX_BYTES:
        return {}
    start = data[:200].lstrip()
    if start.startswith(b"{"):
        lines = _of_json(data)
    elif start.startswith(b"<"):
        lines = _of_cobertura(data)
    elif start.startswith(b"mode:"):
        lines = _of_go(data)
    else:
        return {}
    told: dict[str, dict[int, bool]] = {}
    for count, (path, number, ran) in enumerate(lines):
        if count >= _MAX_LINES:
            break
        of_file = told.setdefault(path, {})
        of_file[number] = of_file.get(number, False) or ran
    return told


def _missed(ran: Ran, path: str, numbers: frozenset[int]) -> tuple[int, ...]:
    """By the report whose path ends as the repository's does; of several that do, a line ran that ran in any."""
    told = [lines for name, lines in ran.items() if _same_file(name, path)]
    return tuple(
        number
        for number in sorted(numbers)
        if any(number in lines for lines in told) and not any(lines.get(number) for lines in told)
    )


def _same_file(name: str, path: str) -> bool:
    """Reports name files from some directory above, inside or beside the repository's top."""
    name = name.replace("\\", "/").removeprefix("./")
    return name == path or name.endswith(f"/{path}") or path.endswith(f"/{name}")


def _ranges(numbers: tuple[int, ...]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in spans[:_RANGES])
    return f"{shown},…" if len(spans) > _RANGES else shown


def _of_json(data: bytes) -> Iterator[tuple[str, int, bool]]:
    try:
        told: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    files = told.get("files") if isinstance(told, dict) else None
    for path, about in files.items() if isinstance(files, dict) else ():
        for key, ran in (("executed_lines", True), ("missing_lines", False)):
            numbers = about.get(key) if isinstance(about, dict) else None
            for number in numbers if isinstance(numbers, list) else ():
                if isinstance(number, int) and 0 < number < _MAX_LINE:
                    yield path, number, ran


def _of_cobertura(data: bytes) -> Iterator[tuple[str, int, bool]]:
    try:
        root: Element = fromstring(_without_doctype(data), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return
    for one in root.iter("class"):
        path = one.get("filename", "")
        for line in one.iter("line"):
            number, hits = line.get("number", ""), line.get("hits", "")
            if re.fullmatch(r"[1-9]\d{0,6}", number, re.ASCII) and re.fullmatch(r"\d{1,15}", hits, re.ASCII):
                yield path, int(number), int(hits) > 0


def _without_doctype(data: bytes) -> bytes:
    """Cobertura's writers name its DTD, which nobody needs; one that declares anything itself stays, and is refused."""
    return (
        re.sub(rb"<!DOCTYPE\s+coverage\s+SYSTEM\s+['\"][^'\"<>\[]{0,200}['\"]\s*>", b"", data[:2000], count=1)
        + data[2000:]
    )


def _of_go(data: bytes) -> Iterator[tuple[str, int, bool]]:
    for line in data.decode("utf-8", "replace").splitlines():
        found = _BLOCK.match(line[:2000])
        if found is not None:
            for number in range(int(found["first"]), min(int(found["last"]), int(found["first"]) + 2000) + 1):
                yield found["path"], number, found["count"].strip("0") != ""
