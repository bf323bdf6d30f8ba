"""What is waited for ends when its time has passed on the host's own clocks, whatever the wall clock is set to.

The durable engine delays rounds by the wall clock, so it is told to delay them for far longer than is meant, and here
is who ends the wait. Should nobody do so, the round is `SPARE_S` late; it is never lost.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from runner.errors import RecordsFault
from runner.model import Phase, RoundInput
from runner.moments import Moment, before, passed_s
from runner.records import Records
from runner.rounds import Carrier, RoundKey, RoundState
from runner.timeline import Kept, MomentBook, Timeline

_LOG: Final = logging.getLogger(__name__)
SPARE_S: Final = 30 * 86_400.0
_PREFIX: Final = "wait/"
_LOOK_S: Final = 1.0
_SET_S: Final = 60.0


@dataclass(kw_only=True)
class PatientRounds:
    """`runner.rounds.Carrier` whose delays no setting of the wall clock hastens or draws out.

    A host that has booted anew cannot know for how long it was away but from its wall clock. One that was set back
    meanwhile has the wait begin again: it lasts at most as long again as it was to last.
    """

    rounds: Carrier
    book: MomentBook
    records: Records
    timeline: Timeline
    _waits: dict[str, Kept] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopping: bool = False
    _ahead_s: float | None = None

    # --- rounds ---

    def launch(self) -> None:
        """See `Rounds.launch`. What the last process of this host waited for is waited for again."""
        now = self.timeline.now()
        for kept in self.book.all(_PREFIX):
            # Said anew of this boot, so that from here on the wall clock has no part in it.
            wait = replace(kept, begun=before(now, passed_s(kept.begun, now)))
            self.book.keep(wait)
            self._waits[wait.name] = wait
        self.rounds.launch()

    def submit(self, round_input: RoundInput, *, delay_s: float = 0.0) -> None:
        """See `Rounds.submit`."""
        if delay_s <= 0:
            self.rounds.submit(round_input)
            return
        name = _name(round_input.run_id, round_input.number)
        with self._changed:
            known = self._waits.get(name)
        wait = known or Kept(name=name, seconds=delay_s, begun=self.timeline.now())
        # On record first: a round that is delayed and that nobody waits for would be late.
        self.book.keep(wait)
        self.rounds.submit(round_input, delay_s=delay_s + SPARE_S)
        with self._changed:
            self._waits[name] = wait
            self._changed.notify_all()

    def begin(self, round_input: RoundInput) -> None:
        """See `Carrier.begin`."""
        self.rounds.begin(round_input)

    def hasten(self, run_id: str, number: int) -> None:
        """See `Rounds.hasten`."""
        self._over(_name(run_id, number))

    def fence(self, run_id: str, number: int) -> None:
        """See `Rounds.fence`."""
        self.rounds.fence(run_id, number)
        name = _name(run_id, number)
        self.book.forget(name)
        with self._changed:
            self._waits.pop(name, None)

    def revive(self) -> None:
        """See `Rounds.revive`."""
        self.rounds.revive()

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        """See `Rounds.states`."""
        return self.rounds.states(rounds)

    def hold(self) -> None:
        """See `Rounds.hold`."""
        self.rounds.hold()

    def at_rest(self, patience_s: float) -> bool:
        """See `Rounds.at_rest`."""
        return self.rounds.at_rest(patience_s)

    def close(self, deadline_s: float) -> bool:
        """See `Rounds.close`."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        return self.rounds.close(deadline_s)

    # --- waiting ---

    def start(self) -> None:
        """Begin to end waits, until `close`."""
        threading.Thread(target=self._run, name="waits", daemon=True).start()

    def look(self) -> float:
        """End what is over; seconds until the next one is, or until it is worth another look. Raises RecordsFault."""
        now = self.timeline.now()
        self._mind_the_wall_clock(now)
        with self._changed:
            left = {wait.name: _left_s(wait, now) for wait in self._waits.values()}
        for name in [name for name, seconds in left.items() if seconds <= 0]:
            self._over(name)
        return min((seconds for seconds in left.values() if seconds > 0), default=_LOOK_S)

    def _over(self, name: str) -> None:
        run_id, number = _round_of(name)
        self.rounds.hasten(run_id, number)
        self.book.forget(name)
        with self._changed:
            self._waits.pop(name, None)

    def _mind_the_wall_clock(self, now: Moment) -> None:
        """Where it was set, say anew until when each run waits: the time of day, not how long."""
        ahead, known = now.utc - now.up, self._ahead_s
        # Small steps are how a clock is kept right.
        if known is not None and abs(ahead - known) <= _SET_S:
            self._ahead_s = ahead
            return
        if known is not None:
            _LOG.warning("the wall clock was set by %.0f s; what runs and what waits goes on as it was", ahead - known)
        with self._changed:
            waits = list(self._waits.values())
        for wait in waits:
            self._retell(wait, now)
        self._ahead_s = ahead

    def _retell(self, wait: Kept, now: Moment) -> None:
        run_id, number = _round_of(wait.name)
        run, due = self.records.run(run_id), now.utc + _left_s(wait, now)
        if run is None or (run.phase, run.round) != (Phase.WAITING, number) or run.retry_at is None:
            return
        if abs(run.retry_at - due) > _SET_S:
            self.records.change(run_id, {"retry_at": due}, now.utc)

    def _run(self) -> None:
        pause = 0.0
        while True:
            with self._changed:
                if pause > 0 and not self._stopping:
                    self._changed.wait(timeout=min(pause, _LOOK_S))
                if self._stopping:
                    return
            try:
                pause = self.look()
            except RecordsFault:
                _LOG.exception("waits that are over could not be ended; trying again")
                pause = _LOOK_S
            except Exception:  # noqa: BLE001 - the outermost boundary of the thread
                # A fault of ours with one wait must not make all others endless.
                _LOG.exception("looking after waits failed; trying again")
                pause = _LOOK_S


def _left_s(wait: Kept, now: Moment) -> float:
    return wait.seconds - passed_s(wait.begun, now)


def _name(run_id: str, number: int) -> str:
    return f"{_PREFIX}{run_id}/{number}"


def _round_of(name: str) -> tuple[str, int]:
    run_id, _, number = name.removeprefix(_PREFIX).rpartition("/")
    return run_id, int(number)
