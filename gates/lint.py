"""What the author of a gate file may want to think of; none of it keeps the file from being used. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from gates.ecosystem import Gate
from gates.path_patterns import touched
from gates.plan import CiOnly, GatePlan
from gates.reviewers import Reviewer
from gates.sentinel_forms import can_hold
from gates.text import clean

MAX_REMARKS: Final = 100
# What makes a command's end look good whatever came before it.
_SWALLOWED: Final = re.compile(
    r"\|\|\s*(?:true|:|exit\s+0)(?![\w-])|;\s*(?:true|:|exit\s+0)\s*$|(?<!\|)\|(?!\|)\s*tee\b"
)


def remarks(plan: GatePlan | CiOnly, paths: Sequence[str]) -> tuple[str, ...]:
    """A sentence each, at most MAX_REMARKS. paths: the repository's files, as far as they are known."""
    if isinstance(plan, CiOnly):
        return ('local = "none": no gate runs here; a change is a draft until the forge\'s CI is green.',)
    told = [
        *_of_all(plan),
        *(f"gate {gate.name}: {one}" for gate in plan.gates for one in _of_gate(gate, paths)),
        *(f"reviewer {reviewer.name}: {one}" for reviewer in plan.reviewers for one in _of_reviewer(reviewer)),
        *_of_setup(plan, paths),
    ]
    return tuple(clean(one, 400) for one in told[:MAX_REMARKS])


def _of_all(plan: GatePlan) -> Iterator[str]:
    required = [gate for gate in plan.gates if gate.required]
    if not any(gate.junit for gate in required):
        yield "no required gate promises a report: only exit statuses decide, and none of them tells what ran."
    if all(gate.paths for gate in required):
        yield "every required gate has paths: leave them out of one, so that each change is judged by something."


def _of_gate(gate: Gate, paths: Sequence[str]) -> Iterator[str]:
    if _SWALLOWED.search(gate.run):
        yield "its command hides the exit status of what it runs; let the status through."
    if gate.junit is None and gate.runner is not None:
        yield f"{gate.runner} can be asked for a report; have it written to /ashigaru/out and name it in junit."
    if gate.junit is not None and gate.junit not in gate.run:
        yield f"nothing in its command names {gate.junit}; a gate whose report is missing is red."
    if gate.junit is not None and gate.runner is None:
        yield "its command names no test runner that is known, so its report is taken as it is; name it in runner."
    if gate.junit is not None and gate.runner is not None and paths and not _provable(gate, paths):
        yield f"no file is there that {gate.runner} tests of ours can be added to, so its report is taken as it is."
    if gate.directory and paths and not any(path.startswith(f"{gate.directory}/") for path in paths):
        yield f"there is no directory {gate.directory}; the gate could not begin."
    for pattern in gate.paths if paths else ():
        if not touched((pattern,), paths):
            yield f"no file fits the path pattern {pattern}."


def _provable(gate: Gate, paths: Sequence[str]) -> bool:
    within = f"{gate.directory}/" if gate.directory else ""
    return gate.runner is not None and any(can_hold(gate.runner, path) for path in paths if path.startswith(within))


def _of_reviewer(reviewer: Reviewer) -> Iterator[str]:
    if reviewer.report not in reviewer.run:
        yield f"nothing in its command names {reviewer.report}; have it written to /ashigaru/out."


def _of_setup(plan: GatePlan, paths: Sequence[str]) -> Iterator[str]:
    if plan.setup is not None and paths and not plan.setup.matching(paths):
        yield "setup: no file fits its manifests, so it is never done anew; name the files that say what is needed."
