"""SARIF 2.1.0, as static analysers write it, read for the remarks in it. Pure; never raises for what it is given.

Format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. Results that say that all is well, that were
suppressed, or that a baseline already had are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote

from gates.remarks import MAX_REMARKS, Remark, Unreadable, read_json, remark

_MAX_RUNS: Final = 50
_MAX_SCANNED: Final = 20_000
"""Results that are looked at, whatever comes of them."""
_MAX_TEXT: Final = 4000
_FILE: Final = re.compile(r"file://[^/]*", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\{(\d{1,2})\}")
_WELL: Final = frozenset({"pass", "notApplicable", "informational"})
_OLD: Final = frozenset({"unchanged", "absent"})


def read_sarif(data: bytes) -> tuple[Remark, ...] | Unreadable:
    """The report's remarks in its order, at most MAX_REMARKS."""
    told = read_json(data)
    if isinstance(told, Unreadable):
        return told
    runs = _table(told).get("runs")
    if not isinstance(runs, list):
        return Unreadable(reason="left a report that is not SARIF")
    return tuple(islice(_remarks(runs), MAX_REMARKS))


def _remarks(runs: list[Any]) -> Iterator[Remark]:
    left = _MAX_SCANNED
    for run in map(_table, runs[:_MAX_RUNS]):
        results = _list(run.get("results"))[:left]
        left -= len(results)
        rules = _Rules(run)
        for result in map(_table, results):
            found = _remark(result, run, rules)
            if found is not None:
                yield found


class _Rules:
    """The rules of a run's driver, by place and by name."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        driver = _table(_table(run.get("tool")).get("driver"))
        self._listed = [_table(one) for one in _list(driver.get("rules"))[:_MAX_SCANNED]]
        self._named = {one["id"]: one for one in self._listed if isinstance(one.get("id"), str)}

    def of(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """The rule that a result is of; an empty one where it names none that is there."""
        at = _number(result.get("ruleIndex"), self._listed)
        return self._listed[at] if at is not None else self._named.get(_name(result), {})


def _remark(result: Mapping[str, Any], run: Mapping[str, Any], rules: _Rules) -> Remark | None:
    if _text(result.get("kind")) in _WELL or _text(result.get("baselineState")) in _OLD:
        return None
    if any(_table(one).get("status", "accepted") == "accepted" for one in _list(result.get("suppressions"))):
        return None
    rule = rules.of(result)
    place = _table(_table(next(iter(_list(result.get("locations"))), None)).get("physicalLocation"))
    level = result.get("level") or _table(rule.get("defaultConfiguration")).get("level")
    name = _name(result)
    said = _said(_table(result.get("message")), rule)
    return remark(
        _path(_table(place.get("artifactLocation")), run),
        _table(place.get("region")).get("startLine"),
        level,
        f"{said} ({name})" if said and name else said,
    )


def _said(message: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    """The message itself, or the rule's that it refers to, with its arguments in their places."""
    said = _text(message.get("text")) or _text(message.get("markdown"))
    if not said:
        kept = _table(_table(rule.get("messageStrings")).get(_text(message.get("id"))))
        said = _text(kept.get("text")) or _text(_table(rule.get("shortDescription")).get("text"))
    arguments = [_text(one)[:200] for one in _list(message.get("arguments"))[:20]]
    return _PLACEHOLDER.sub(
        lambda found: arguments[int(found[1])] if int(found[1]) < len(arguments) else found[0], said[:_MAX_TEXT]
    )


def _path(location: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    uri = _text(location.get("uri"))
    if not uri:
        artifacts = _list(run.get("artifacts"))
        at = _number(location.get("index"), artifacts)
        uri = _text(_table(_table(artifacts[at]).get("location")).get("uri")) if at is not None else ""
    return unquote(_FILE.sub("", uri[:_MAX_TEXT], count=1))


def _name(result: Mapping[str, Any]) -> str:
    return (_text(result.get("ruleId")) or _text(_table(result.get("rule")).get("id")))[:80]


def _number(value: object, within: list[Any]) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(within)
    return value if isinstance(value, int) and known else None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
