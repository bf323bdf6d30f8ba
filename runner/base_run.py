"""The base's judgement, under way in a thread beside the agent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from gates.verdict import Failed, Verdict
from runner.gate_run import GateRunner, Question

_LOG: Final = logging.getLogger(__name__)
_SETTLE_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class _Asked:
    verdict: Future[Verdict]
    unwanted: threading.Event


class BaseJudge:
    """Asks the gates about a run's base once, however many steps want to know. Safe to call from several threads."""

    def __init__(self, gates: GateRunner, pool: ThreadPoolExecutor) -> None:
        """Take the gates and the threads to ask them in."""
        self._gates = gates
        self._pool = pool
        self._guard = threading.Lock()
        self._asked: dict[str, _Asked] = {}

    def begin(self, question: Callable[[], Question], run_id: str, cancelled: Callable[[], bool]) -> None:
        """Have the judgement under way; `question` is made only where none is yet."""
        with self._guard:
            if run_id in self._asked:
                return
            unwanted = threading.Event()
            wanted = question()
            verdict = self._pool.submit(self._gates.ask, wanted, lambda: unwanted.is_set() or cancelled())
            self._asked[run_id] = _Asked(verdict=verdict, unwanted=unwanted)

    def red(self, run_id: str) -> Failed | None:
        """The verdict, if the base is known to be red by now."""
        asked = self._asked.get(run_id)
        if asked is None or not asked.verdict.done() or asked.verdict.exception() is not None:
            return None
        verdict = asked.verdict.result()
        return verdict if isinstance(verdict, Failed) else None

    def answer(self, run_id: str) -> Verdict:
        """Wait for the verdict of the judgement that was begun, and forget it: a further `begin` asks anew.

        Raises what `GateRunner.ask` raises.
        """
        try:
            return self._asked[run_id].verdict.result()
        finally:
            with self._guard:
                self._asked.pop(run_id, None)

    def settle(self, run_id: str) -> None:
        """Nothing is under way for the run any more: a judgement that nobody waits for is stopped."""
        with self._guard:
            asked = self._asked.pop(run_id, None)
        if asked is None:
            return
        asked.unwanted.set()
        asked.verdict.cancel()
        if wait([asked.verdict], timeout=_SETTLE_S).not_done:
            _LOG.warning("a base gate did not stop in time", extra={"run": run_id})
