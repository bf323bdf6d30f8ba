"""The durable engine, as the runner needs it: rounds in, facts checkpointed, nothing done twice that was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias

from runner.model import RoundInput


class Interrupted(BaseException):
    """The daemon is leaving in the middle of a step: the step is not recorded and will be done again at the next start.

    Not an Exception, so that neither our own handlers nor the durable engine take it for the step's outcome.
    """


class RoundState(StrEnum):
    """What the durable engine knows of a round."""

    QUEUED = "queued"
    DELAYED = "delayed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    ABSENT = "absent"


RoundKey: TypeAlias = tuple[str, int]
"""A round: the run's id and the round's number."""


class Rounds(Protocol):
    """Runs rounds to their end, across restarts of this process. All but the last three raise RecordsFault."""

    def launch(self) -> None:
        """Start taking work, and go on with what was in flight when the last process of this host ended."""

    def submit(self, round_input: RoundInput, *, delay_s: float = 0.0) -> None:
        """Have the round run once, however often it is submitted; it is known by (run_id, number).

        With a delay it holds no slot and no thread until it is due. May be called from within a step.
        """

    def hasten(self, run_id: str, number: int) -> None:
        """Have a delayed round run now; anything else is left as it is."""

    def fence(self, run_id: str, number: int) -> None:
        """Have no process begin another step of the round, whatever its version; an ended round is left as it is.

        One that is in the middle of a step here ends with that step.
        """

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        """What is known of each; to ask about many costs little more than about one.

        FAILED: it died of a fault of ours.
        """

    def revive(self) -> None:
        """Have those rounds go on, from their next step, whose last one was done but could not be recorded."""

    def hold(self) -> None:
        """From now on no round begins: it waits for the next launch. Those at work go on. Raises nothing."""

    def at_rest(self, patience_s: float) -> bool:
        """Whether no round is at work, now or within that many seconds. Raises nothing."""

    def close(self, deadline_s: float) -> bool:
        """Stop taking work and return within the deadline; what is in flight goes on at the next launch.

        False: a step did not leave in time. Its thread keeps the interpreter from ending, so the process should
        leave by `os._exit`; nothing is lost, the step is done again.
        """


class Carrier(Rounds, Protocol):
    """The engine below the pool: it carries rounds, and is told which of them may begin."""

    def begin(self, round_input: RoundInput) -> None:
        """Have the round run on this host, as soon as it has a thread for it; a second time changes nothing."""


def state_of(rounds: Rounds, run_id: str, number: int) -> RoundState:
    """What is known of one round. Raises RecordsFault."""
    return rounds.states([(run_id, number)])[run_id, number]
