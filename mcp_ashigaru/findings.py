"""What a diagnosis says: findings, each with its cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the diagnosis; `cure` is empty where nothing needs one."""

    level: Level
    subject: str
    text: str
    cure: str = ""


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether runs can work: no finding fails."""
    return all(finding.level is not Level.FAIL for finding in findings)


def render(findings: Sequence[Finding]) -> str:
    """The findings as lines for a terminal, each with its cure below it."""
    width = max((len(finding.subject) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<4}  {finding.subject:<{width}}  {finding.text}")
        if finding.cure:
            lines.append(f"{'':<4}  {'':<{width}}  -> {finding.cure}")
    return "\n".join(lines)
