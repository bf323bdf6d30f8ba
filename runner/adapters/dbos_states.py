"""What the engine's tables say of rounds, asked of many at once: most of what a question takes is its asking."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from dbos import DBOS

from runner.adapters.dbos_calls import outside
from runner.adapters.dbos_names import STATES, intake_id, round_id
from runner.rounds import RoundKey, RoundState

# A statement has a bound on its values, and what is read is held in memory.
_AT_ONCE: Final = 500


def states_of(rounds: Sequence[RoundKey], *, tells: bool) -> dict[RoundKey, RoundState]:
    """What is known of each. Raises RecordsFault.

    tells: whether a round whose time has come is told of, in the place of being given to a host.
    """
    begun = _statuses([round_id(*one) for one in rounds])
    rest = [one for one in rounds if round_id(*one) not in begun]
    taken_in = _statuses([intake_id(*one) for one in rest])
    known = {one: STATES[begun[round_id(*one)]] for one in rounds if round_id(*one) in begun}
    return known | {one: _before_it_begins(taken_in.get(intake_id(*one)), tells=tells) for one in rest}


def _before_it_begins(status: str | None, *, tells: bool) -> RoundState:
    if status is None or (status == "SUCCESS" and tells):
        # It was said to be due, and whoever heard it has not begun it.
        return RoundState.ABSENT
    if status in {"PENDING", "SUCCESS"}:
        # It is being assigned to a host, or was between the two questions: it waits for a slot there.
        return RoundState.QUEUED
    return STATES[status]


def _statuses(ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = list(ids[start : start + _AT_ONCE])
        read = partial(DBOS.list_workflows, workflow_ids=some, load_input=False, load_output=False)
        found |= {one.workflow_id: one.status for one in outside(read)}
    return found
