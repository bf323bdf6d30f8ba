"""Who is looked at when: every run whose pull request is to be followed, more seldom the longer nothing happens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from runner.errors import RecordsFault, RunnerError, Unavailable
from runner.model import Phase
from runner.ports import Clock
from runner.precedence import Precedence
from runner.watched import WatchBook, Watched

_LOG: Final = logging.getLogger(__name__)
_MOST: Final = 1000
_AT_ONCE: Final = 4
_SELDOM: Final = 30
_READ_S: Final = 1.0
_GROWTH: Final = 1.5


@dataclass(frozen=True, kw_only=True)
class _Due:
    at: float
    every: float


class Watch:
    """A thread that has `look` called for each run in its time, a few at once. Nothing that a look raises ends it.

    every_s: how often a run is looked at whose checks are running; one that waits for a person is looked at less and
    less often, down to every thirty such times. A nudge has all runs of a repository looked at now. read_s: how often
    it is read which runs there are, however many looks end meanwhile.
    """

    def __init__(
        self,
        records: WatchBook,
        look: Callable[[str], bool],
        clock: Clock,
        *,
        every_s: float,
        read_s: float = _READ_S,
        precedence: Precedence,
    ) -> None:
        """Take the parts; starts nothing."""
        self._precedence = precedence
        self._records = records
        self._read_s = min(every_s, read_s)
        self._look = look
        self._clock = clock
        self._every_s = every_s
        self._changed = threading.Condition()
        self._due: dict[str, _Due] = {}
        self._busy: set[str] = set()
        self._nudged: set[str] = set()
        self._again: set[str] = set()
        self._woken = False
        self._stopping = False
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="follow")
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def nudge(self, repo: str) -> None:
        """Something happened in that repository: look at its runs now. Cheap, and the same twice."""
        with self._changed:
            if len(self._nudged) < _MOST:
                # However whoever nudges spells it: forges do not tell names apart by case.
                self._nudged.add(repo.lower())
            self._wake()

    def close(self, deadline_s: float) -> None:
        """Stop looking; a look under way is left to end by itself, and done again at the next start."""
        with self._changed:
            self._stopping = True
            self._wake()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread.ident is not None:
            self._thread.join(deadline_s)

    # --- inside ---

    def _wake(self) -> None:
        self._woken = True
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                self._woken, nudged, self._nudged = False, self._nudged, set()
            try:
                with self._precedence.after():
                    self._round(nudged)
            except RecordsFault:
                _LOG.exception("the runs to follow could not be read; trying again")
                with self._changed:
                    self._nudged |= nudged
                    self._changed.wait_for(lambda: self._stopping, timeout=self._read_s)
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._woken, timeout=self._read_s)

    def _round(self, nudged: set[str]) -> None:
        now = self._clock.monotonic()
        watched = {run.run_id: run for run in self._records.watched(_MOST)}
        with self._changed:
            self._due = {run_id: due for run_id, due in self._due.items() if run_id in watched}
            ready = [
                run
                for run_id, run in watched.items()
                if run_id not in self._busy
                and (run.repo.lower() in nudged or run_id not in self._due or self._due[run_id].at <= now)
            ]
            # One that is being looked at just now is looked at again when that look is over.
            self._again |= {run_id for run_id in self._busy & watched.keys() if watched[run_id].repo.lower() in nudged}
            self._busy |= {run.run_id for run in ready}
            if self._stopping:
                return
            for run in ready:
                self._pool.submit(self._one, run)

    def _one(self, run: Watched) -> None:
        before = self._due.get(run.run_id, _Due(at=0.0, every=self._every_s))
        every, pause = self._every_s, None
        try:
            if not self._look(run.run_id) and run.phase is Phase.AWAITING_REVIEW:
                every = min(before.every * _GROWTH, self._every_s * _SELDOM)
        except Unavailable as exc:
            pause = exc.retry_after_s
            _LOG.warning("a run could not be looked at: %s", exc, extra={"run": run.run_id})
        except RunnerError as exc:
            every = self._every_s * _SELDOM
            _LOG.warning("a run could not be looked at: %s", exc, extra={"run": run.run_id})
        except Exception:  # noqa: BLE001 - the outermost boundary of a look
            # A fault of ours with one run must not leave all others unwatched.
            every = self._every_s * _SELDOM
            _LOG.exception("looking at a run failed", extra={"run": run.run_id})
        finally:
            with self._changed:
                self._busy.discard(run.run_id)
                pause = every if pause is None else pause
                if run.run_id in self._again:
                    self._again.discard(run.run_id)
                    pause = 0.0
                    self._wake()
                self._due[run.run_id] = _Due(at=self._clock.monotonic() + pause, every=every)
