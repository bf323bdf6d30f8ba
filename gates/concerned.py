"""Which of a plan's gates a change is asked by. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gates.ecosystem import Gate
from gates.path_patterns import touched


def concerned(gates: Sequence[Gate], paths: Sequence[str]) -> tuple[Gate, ...]:
    """Those whose paths the change touches, with those that they need, in the plan's order.

    paths: every path that the change adds, edits or deletes. All of the gates where no required one is among them, so
    that there is no change that nothing decides on.
    """
    named = {gate.name: gate for gate in gates}
    wanted = [gate.name for gate in gates if touched(gate.paths, paths)]
    for name in wanted:  # grows while it is gone through; each name comes in once
        wanted += [need for need in named[name].needs if need in named and need not in wanted]
    if not any(named[name].required for name in wanted):
        return tuple(gates)
    return tuple(gate for gate in gates if gate.name in wanted)
