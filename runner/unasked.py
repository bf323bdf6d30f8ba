"""Runs of a restored backup whose repository the forge does not show: set aside, and asked about until it does.

What became of such a run since the backup is not known, so nothing is done with it before: it would be done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

from runner.errors import Rejected, RunnerError, Unavailable
from runner.model import LIVE_PHASES, REVIEW_PHASES, Phase, RoundInput
from runner.moments import passed_s
from runner.reasons import unasked, unasked_in_vain, unseen
from runner.reconciling import Reconciler
from runner.records import Records, RunChange, RunRecord
from runner.timeline import Kept, MomentBook, Timeline

_LOG: Final = logging.getLogger(__name__)
_PREFIX: Final = "unasked/"
PATIENCE_S: Final = 30 * 86_400.0
"""So long it is asked; then a person has to."""
_GROWTH: Final = 1.5
_SELDOM: Final = 30


@dataclass(frozen=True, kw_only=True)
class _Pause:
    """until: monotonic seconds. every: how long this one was."""

    until: float
    every: float


@dataclass(kw_only=True)
class Unasked:
    """Which runs they are is kept in `book`, so that it outlives the process; safe from any thread.

    last_of: the input of the run's last round. alone: keeps callers away from a run meanwhile. every_s: the first
    pause between two questions about a repository; each is longer than the last, up to thirty times that.
    """

    records: Records
    reconciler: Reconciler
    book: MomentBook
    timeline: Timeline
    last_of: Callable[[RunRecord], RoundInput]
    alone: Callable[[str], AbstractContextManager[None]]
    every_s: float
    _marks: dict[str, Kept] = field(default_factory=dict)
    _pauses: dict[str, _Pause] = field(default_factory=dict)

    def load(self) -> None:
        """Know those that an earlier process set aside. Raises RecordsFault."""
        self._marks = {_of(kept)[0]: kept for kept in self.book.all(_PREFIX)}

    def holds(self, run: RunRecord) -> bool:
        """Whether nobody may carry the run on as it is. A round that somebody asked for since is carried on."""
        mark = self._marks.get(run.run_id)
        if mark is None:
            return False
        return run.phase in REVIEW_PHASES or (run.phase is Phase.WAITING and run.round == _of(mark)[1])

    def followed(self, look: Callable[[str], bool]) -> Callable[[str], bool]:
        """The look at a run's pull request; of one that was set aside nothing comes of it."""
        return lambda run_id: run_id not in self._marks and look(run_id)

    def set_aside(self, run: RunRecord, why: Rejected) -> None:
        """Have it wait for its repository; one under review stays where it is, and says so. Raises RecordsFault."""
        _LOG.warning("nobody can tell what became of a run: %s", why, extra={"run": run.run_id})
        # One of an earlier backup may be of another round.
        self.told(run.run_id)
        mark = Kept(name=f"{_PREFIX}{run.run_id}/{run.round}", begun=self.timeline.now(), seconds=PATIENCE_S)
        # Before the phase: a run that waits, and that nobody asks about, would wait for ever.
        self.book.keep(mark)
        self._marks[run.run_id] = mark
        if run.phase in REVIEW_PHASES:
            change: RunChange = {"reason": unseen(str(why))}
        else:
            restarter = self.reconciler.restarter
            restarter.rounds.fence(run.run_id, run.round)
            restarter.closing.clear(run.run_id)
            change = {"phase": Phase.WAITING, "reason": unasked(str(why)), "retry_at": None}
        self.records.change(run.run_id, change, self.timeline.clock.now())

    def told(self, run_id: str) -> None:
        """The forge has said what became of the run, or it is nobody's to ask any more. Raises RecordsFault."""
        mark = self._marks.get(run_id)
        if mark is not None:
            self.book.forget(mark.name)
            self._marks.pop(run_id, None)

    def look(self) -> None:
        """Ask about those whose time has come. Raises RecordsFault.

        One question to a repository that is not shown, however many runs of it are set aside.
        """
        now = self.timeline.clock.monotonic()
        closed = {repo for repo, pause in self._pauses.items() if pause.until > now}
        shown: set[str] = set()
        for run_id in list(self._marks):
            run = self.records.run(run_id)
            if run is None or run.phase not in LIVE_PHASES:
                self.told(run_id)
            elif run.repo not in closed and self.holds(run):
                try:
                    self._ask(run_id)
                    shown.add(run.repo)
                except RunnerError as exc:
                    closed.add(run.repo)
                    self._pause(run, exc)
        for repo in shown - closed:
            self._pauses.pop(repo, None)

    # --- inner ---

    def _ask(self, run_id: str) -> None:
        with self.alone(run_id):
            run = self.records.run(run_id)
            if run is not None and self.holds(run):
                self.reconciler.reconcile(run, self.last_of(run))
                self.told(run_id)

    def _pause(self, run: RunRecord, why: RunnerError) -> None:
        before = self._pauses.get(run.repo)
        every = self.every_s if before is None else min(before.every * _GROWTH, self.every_s * _SELDOM)
        asked_for = why.retry_after_s if isinstance(why, Unavailable) else 0.0
        until = self.timeline.clock.monotonic() + max(every, asked_for)
        self._pauses[run.repo] = _Pause(until=until, every=every)
        _LOG.warning("it is not known yet what became of a run: %s", why, extra={"run": run.run_id})
        mark = self._marks[run.run_id]
        if isinstance(why, Rejected) and passed_s(mark.begun, self.timeline.now()) > mark.seconds:
            self._give_up(run.run_id, why)

    def _give_up(self, run_id: str, why: Rejected) -> None:
        """What it is under review shows whoever follows it; the rest is for a person to say."""
        with self.alone(run_id):
            run = self.records.run(run_id)
            if run is not None and self.holds(run) and run.phase is Phase.WAITING:
                change: RunChange = {"phase": Phase.BLOCKED, "reason": unasked_in_vain(str(why))}
                self.records.change(run_id, change, self.timeline.clock.now())
                self.records.release(run_id)
            self.told(run_id)


def _of(mark: Kept) -> tuple[str, int]:
    """The run, and the round at which it was set aside."""
    run_id, _, number = mark.name.removeprefix(_PREFIX).rpartition("/")
    return run_id, int(number)
