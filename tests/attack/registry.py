"""Every defence and every case there is."""

from __future__ import annotations

from tests.attack import (
    in_agent,
    in_limits,
    in_sandbox,
    on_callers,
    on_deeds,
    on_doors,
    on_egress,
    on_files,
    on_fleet,
    on_forge,
    on_gateway,
    on_gateway_bounds,
    on_git,
    on_money,
    on_patience,
    on_policy,
    on_presets,
    on_promotion,
    on_publishing,
    on_receipts,
    on_records,
    on_secrets,
    on_sinks,
    on_surface,
    on_text,
    on_tools,
    on_trees,
    on_verdicts,
)
from tests.attack.case import Case, Defence

_CHAPTERS = (
    on_surface,
    on_callers,
    on_doors,
    on_records,
    on_text,
    on_secrets,
    on_sinks,
    on_patience,
    on_policy,
    on_trees,
    on_git,
    on_files,
    on_verdicts,
    on_promotion,
    on_publishing,
    on_receipts,
    on_deeds,
    on_forge,
    on_gateway,
    on_gateway_bounds,
    on_money,
    on_egress,
    on_fleet,
    on_presets,
    on_tools,
    in_sandbox,
    in_limits,
    in_agent,
)
DEFENCES: dict[str, Defence] = {one.name: one for chapter in _CHAPTERS for one in chapter.CHAPTER.defences}
CASES: tuple[Case, ...] = tuple(case for chapter in _CHAPTERS for case in chapter.CHAPTER.cases)


def cases_of(defence: str) -> tuple[Case, ...]:
    """The cases that only that defence stops."""
    return tuple(case for case in CASES if case.defence == defence)
