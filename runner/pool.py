"""The pool: slots ashigaru-1 to N, and a fair line before them. A `Rounds` in front of the engine's.

A round that waits is known by the records alone; the engine is given it when a slot is its own. So the line outlives
any process, and is judged anew each time a slot comes free.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from runner.errors import RunnerError
from runner.estimate import Place, places
from runner.fair_queue import free_slots, line
from runner.model import WORKING_PHASES, Phase, RoundInput
from runner.ports import Clock
from runner.precedence import Precedence
from runner.records import Records, RunRecord
from runner.rounds import Carrier, RoundKey, RoundState
from runner.slots import SlotBook

_LOG: Final = logging.getLogger(__name__)
_MOST_QUEUED: Final = 10_000
_LOOK_S: Final = 1.0
_FRESH_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class PoolSeen:
    """Where a run is in the pool: the slot it has, or its place in the line."""

    slot: str | None = None
    place: Place | None = None


class Pool:
    """Gives slots out, one thread of it. Safe to use from several threads."""

    def __init__(
        self,
        *,
        engine: Carrier,
        book: SlotBook,
        records: Records,
        clock: Clock,
        slots: int,
        precedence: Precedence,
    ) -> None:
        """Take the parts; starts nothing."""
        self._precedence = precedence
        self._engine = engine
        self._book = book
        self._records = records
        self._clock = clock
        self._slots = slots
        self._changed = threading.Condition()
        self._due = False
        self._stopping = False
        self._held = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pool", daemon=True)
        self._guard = threading.Lock()
        self._seen: dict[str, Place] = {}
        self._seen_at = float("-inf")

    # --- as the engine ---

    def launch(self) -> None:
        """See `Rounds.launch`; nothing is given out before `open`."""
        self._engine.launch()

    def submit(self, round_input: RoundInput, *, delay_s: float = 0.0) -> None:
        """See `Rounds.submit`: a round that is not delayed waits in the line, unless it has a slot already."""
        if delay_s > 0:
            self._engine.submit(round_input, delay_s=delay_s)
            return
        run_id, number = round_input.run_id, round_input.number
        if any((one.run_id, one.number) == (run_id, number) for one in self._book.held()):
            self._engine.begin(round_input)
            return
        self._book.ready(run_id, number, self._clock.now())
        self._wake()

    def hasten(self, run_id: str, number: int) -> None:
        """See `Rounds.hasten`."""
        self._engine.hasten(run_id, number)

    def fence(self, run_id: str, number: int) -> None:
        """See `Rounds.fence`; its slot is the next one's."""
        self._engine.fence(run_id, number)
        self._book.leave(run_id, number, self._clock.now())
        self._wake()

    def revive(self) -> None:
        """See `Rounds.revive`."""
        self._engine.revive()

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        """See `Rounds.states`: one that is in the line is queued, though the engine knows nothing of it."""
        known = self._engine.states(rounds)
        absent = [one for one, state in known.items() if state is RoundState.ABSENT]
        return known | {one: RoundState.QUEUED for one in absent if self._waits(*one)}

    def hold(self) -> None:
        """See `Rounds.hold`; no slot is given out any more."""
        self._held.set()
        self._engine.hold()

    def at_rest(self, patience_s: float) -> bool:
        """See `Rounds.at_rest`."""
        return self._engine.at_rest(patience_s)

    def close(self, deadline_s: float) -> bool:
        """See `Rounds.close`."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        begun = self._clock.monotonic()
        if self._thread.ident is not None:
            self._thread.join(deadline_s / 2)
        return self._engine.close(max(0.0, deadline_s - (self._clock.monotonic() - begun)))

    # --- the pool's own ---

    def open(self) -> None:
        """Begin to give slots out; what was given before the last process ended keeps its slot."""
        self._thread.start()

    def ended(self, round_input: RoundInput) -> None:
        """The round is over: its slot is the next one's. A second time changes nothing."""
        try:
            self._book.leave(round_input.run_id, round_input.number, self._clock.now())
        except RunnerError:
            # The round itself has ended well; the slot is found by the next `settle`.
            _LOG.warning("a slot could not be given back", exc_info=True, extra={"run": round_input.run_id})
        self._wake()

    def settle(self) -> None:
        """Slots and engine agree: a round that the engine has no work with leaves its slot, one it lacks begins.

        Raises RecordsFault.
        """
        held = self._book.held()
        states = self._engine.states([(one.run_id, one.number) for one in held])
        for one in held:
            match states[one.run_id, one.number]:
                case RoundState.DONE | RoundState.FAILED:
                    self._book.leave(one.run_id, one.number, self._clock.now())
                case RoundState.ABSENT:
                    self._begin(one.run_id, one.number)
                case RoundState.QUEUED | RoundState.DELAYED | RoundState.RUNNING:
                    pass
        self._wake()

    def due(self, round_input: RoundInput) -> None:
        """The round's time has come. Where that cannot be written down, the next sweep does it."""
        try:
            self.submit(round_input)
        except RunnerError:
            _LOG.warning("a round that is due is left for the sweep", exc_info=True, extra={"run": round_input.run_id})

    def unsaved(self) -> list[str]:
        """See `SlotBook.unsaved`. Raises RecordsFault."""
        return self._book.unsaved(_MOST_QUEUED)

    def holders(self) -> set[str]:
        """The runs that have a slot of this host. Raises RecordsFault."""
        return {one.run_id for one in self._book.held()}

    def give_to(self, run: RunRecord) -> None:
        """The run, at work before there were slots, has one too, past the last where all are held."""
        held = self._book.held()
        if all(one.run_id != run.run_id for one in held):
            slot = min(set(range(1, len(held) + 2)) - {one.slot for one in held})
            self._book.hold(run.run_id, run.round, slot, self._clock.now())

    def give(self) -> int:
        """Give every free slot to whoever is next; how many that were. Raises RecordsFault."""
        held = self._book.held()
        free = free_slots(held, self._slots)
        waiting = self._book.queued(_MOST_QUEUED) if free else []
        now, given = self._clock.now(), 0
        for wanted in line(waiting, held, self._slots, self._book.last_had(now), now) if waiting else ():
            if given == len(free):
                break
            if self._book.take(wanted, free[given], now):
                given += 1
                self._begin(wanted.run_id, wanted.number)
        return given

    def seen(self, runs: Sequence[RunRecord]) -> dict[str, PoolSeen]:
        """Where each of the runs is in the pool, by id; a place is at most a second old. Raises RecordsFault."""
        at_work = [run for run in runs if run.phase in WORKING_PHASES - {Phase.WAITING}]
        slots = {one.run_id: one.name for one in self._book.held([run.run_id for run in at_work])}
        queued = [run.run_id for run in at_work if run.phase is Phase.QUEUED and run.run_id not in slots]
        line_of = self._places(queued) if queued else {}
        seen = {run.run_id: PoolSeen(slot=slots.get(run.run_id), place=line_of.get(run.run_id)) for run in at_work}
        return {run.run_id: seen.get(run.run_id, PoolSeen()) for run in runs}

    # --- inner ---

    def _waits(self, run_id: str, number: int) -> bool:
        run = self._records.run(run_id)
        if run is None or (run.phase, run.round) != (Phase.QUEUED, number):
            return False
        return self._records.round_input(run_id, number) is not None

    def _begin(self, run_id: str, number: int) -> None:
        round_input = self._records.round_input(run_id, number)
        if round_input is not None:
            self._engine.begin(round_input)

    def _places(self, wanted: Sequence[str]) -> dict[str, Place]:
        with self._guard:
            age = self._clock.monotonic() - self._seen_at
            if age >= _FRESH_S or any(run_id not in self._seen for run_id in wanted):
                now, held = self._clock.now(), self._book.held()
                waiting = line(self._book.queued(_MOST_QUEUED), held, self._slots, self._book.last_had(now), now)
                self._seen = places(waiting, held, self._slots, self._book.lengths(), now)
                self._seen_at = self._clock.monotonic()
            return self._seen

    def _wake(self) -> None:
        with self._changed:
            self._due = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due and not self._stopping:
                    self._changed.wait(timeout=_LOOK_S)
                if self._stopping:
                    return
                told, self._due = self._due, False
            try:
                if not self._held.is_set():
                    # A round that somebody has just asked for does not wait.
                    with nullcontext() if told else self._precedence.after():
                        self.give()
            except RunnerError:
                _LOG.exception("slots could not be given out; trying again")
            except Exception:  # noqa: BLE001 - the outermost boundary of the pool
                # A fault of ours with one run must not keep all others from beginning.
                _LOG.exception("giving slots out failed; trying again")
