"""The JSON report that jest writes with `--json`, read as evidence within bounds. Never raises for what it is given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from gates.evidence import (
    MAX_BYTES,
    MAX_CASES,
    MAX_NAME_CHARS,
    MAX_TEXT_CHARS,
    BadReport,
    Case,
    CaseOutcome,
    Evidence,
    JUnit,
)

_OUTCOMES: Final = {"passed": CaseOutcome.PASSED, "failed": CaseOutcome.FAILED}


def read_jest(data: bytes) -> Evidence:
    """The report's tests, and for each file that could not be run an error."""
    if len(data) > MAX_BYTES:
        return BadReport(reason=f"its report is over {MAX_BYTES} bytes")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return BadReport(reason="its report is not well-formed JSON")
    if not isinstance(told, dict):
        return BadReport(reason="its report is not jest's")
    files = told.get("testResults")
    if not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
        return BadReport(reason="its report is not jest's")
    cases: list[Case] = []
    for case in (case for one in files for case in _cases(one)):
        if len(cases) >= MAX_CASES:
            return BadReport(reason=f"its report holds over {MAX_CASES} tests")
        cases.append(case)
    return JUnit(cases=tuple(cases))


def _cases(file: dict[str, Any]) -> Iterator[Case]:
    name = _text(file.get("name"), MAX_NAME_CHARS).removeprefix("/workspace/")
    listed = file.get("assertionResults")
    results = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    for one in results:
        said = one.get("failureMessages")
        messages = [part for part in said if isinstance(part, str)] if isinstance(said, list) else []
        yield Case(
            name=_text(one.get("fullName") or one.get("title"), MAX_NAME_CHARS),
            classname=name,
            outcome=_OUTCOMES.get(_text(one.get("status"), 20), CaseOutcome.SKIPPED),
            detail="\n".join(messages)[:MAX_TEXT_CHARS],
        )
    if file.get("status") == "failed" and not any(one.get("status") == "failed" for one in results):
        # The file itself could not be run.
        yield Case(name=name, outcome=CaseOutcome.ERROR, detail=_text(file.get("message"), MAX_TEXT_CHARS))


def _text(value: object, limit: int) -> str:
    return value[:limit] if isinstance(value, str) else ""
