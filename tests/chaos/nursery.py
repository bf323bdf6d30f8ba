"""The harness's end of `tests.chaos.victim`: victims are ordered here, and their ends told."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.victim import ORDER, Order

_UP_S = 300.0


@dataclass(kw_only=True)
class Victim:
    """One process; status is how it ended: an exit status, or minus the signal."""

    pid: int
    ended: threading.Event = field(default_factory=threading.Event)
    status: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send it that signal, unless it is gone."""
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """It is gone."""
        self.signal(signal.SIGKILL)
        if not self.ended.wait(10):
            raise TimeoutError(f"process {self.pid} does not die")


class Nursery:
    """Makes victims; safe to use from several threads."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._answers: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._living: dict[int, Victim] = {}
        self._ordering = threading.Lock()
        self._ready = threading.Event()
        self._known = threading.Lock()
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()
        if not self._ready.wait(_UP_S):
            raise TimeoutError("the victims' process does not come up")

    def begin(self, order: Order) -> Victim:
        """A process of that order, under way."""
        with self._ordering:
            assert self._process.stdin is not None
            self._process.stdin.write(ORDER.dump_json(order) + b"\n")
            self._process.stdin.flush()
            pid = self._answers.get(timeout=_UP_S)
        with self._known:
            return self._living[pid]

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "ready" in told:
                self._ready.set()
            elif "begun" in told:
                with self._known:
                    self._living[told["begun"]] = Victim(pid=told["begun"])
                self._answers.put(told["begun"])
            else:
                with self._known:
                    one = self._living.pop(told["ended"])
                one.status = told["status"]
                one.ended.set()


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A process that makes victims; they go with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.victim"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
