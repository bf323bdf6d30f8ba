"""Run the agent once: PID 1 of the agent's sandbox. Standard library only, one file.

Reads `in/launch.json`; writes `out/events.jsonl` and `out/stderr.txt` line by line as they come, and at the end
`out/exit.json`, atomically: {"code": int|null, "signal": int|null, "reason": "exited" | "grace" | "output_limit" |
"terminated" | "already_started"}. An attempt is started at most once: where `events.jsonl` exists, nothing runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

MAX_OUTPUT = 64 * 1024 * 1024
MAX_PENDING = 8 * 1024 * 1024
"""Longest line kept back until it is whole."""

CHUNK = 64 * 1024
TERM_S = 3.0
"""How long the agent may take to end after SIGTERM."""

DRAIN_S = 2.0
"""How long its output is still read after it has ended."""

TICK_S = 0.1
CANNOT_START = 127
REFUSED = 3


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What to run: argv, its whole environment, the file on its stdin, and the seconds it may take after its result."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    prompt: Path
    grace_s: float


def read_launch(folder: Path) -> Launch:
    """The launch of `folder`; raises OSError, ValueError, KeyError or TypeError where it cannot be read."""
    data: Any = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
    return Launch(
        argv=tuple(str(part) for part in data["argv"]),
        environment={str(key): str(value) for key, value in data["environment"].items()},
        prompt=folder / Path(data["prompt_file"]).name,
        grace_s=float(data["completion_grace_s"]),
    )


@dataclass(kw_only=True)
class Sink:
    """One output file, written in whole lines where lines are of a sane length."""

    file: int
    pending: bytearray = field(default_factory=bytearray)
    size: int = 0

    def take(self, data: bytes) -> list[bytes]:
        """Write what is whole; the lines written. Raises OSError."""
        self.pending += data
        self.size += len(data)
        end = self.pending.rfind(b"\n") + 1
        if end == 0 and len(self.pending) <= MAX_PENDING:
            return []
        return self._write(end or len(self.pending)).splitlines()

    def finish(self) -> None:
        """Write what is left of the last line. Raises OSError."""
        self._write(len(self.pending))

    def _write(self, count: int) -> bytes:
        block = bytes(self.pending[:count])
        del self.pending[:count]
        left = memoryview(block)
        while left:
            left = left[os.write(self.file, left) :]
        return block


def is_result(line: bytes) -> bool:
    """Whether this event line says that the agent is done."""
    if b'"result"' not in line:
        return False
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and event.get("type") == "result"


class Watch:
    """The agent's process from start to end: its output, its signals, its clocks."""

    def __init__(self, process: subprocess.Popen[bytes], grace_s: float, max_output: int) -> None:
        """Watch `process`, which leads a session of its own."""
        self._process = process
        self._grace_s = grace_s
        self._max_output = max_output
        self._kill_at: float | None = None
        self.reason = "exited"
        self.status: int | None = None

    def terminate(self) -> None:
        """Ask the agent to end, and see to it that it does."""
        self._end("terminated", signal.SIGTERM, TERM_S)

    def run(self, events: Sink, errors: Sink) -> None:
        """Return once the agent has ended and its output is written."""
        with selectors.DefaultSelector() as selector:
            for pipe, sink in ((self._process.stdout, events), (self._process.stderr, errors)):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ, sink)
            drained_at: float | None = None
            while drained_at is None or (time.monotonic() < drained_at and selector.get_map()):
                self._read(selector, events, errors)
                self._reap()
                if self.status is not None and drained_at is None:
                    self._signal(signal.SIGKILL)  # whatever it left running in its session
                    drained_at = time.monotonic() + DRAIN_S
                elif self._kill_at is not None and time.monotonic() >= self._kill_at:
                    self._kill_at = None
                    if self.reason == "exited":
                        self.reason = "grace"
                    self._signal(signal.SIGKILL)
        for sink in (events, errors):
            try:
                sink.finish()
            except OSError:
                self.reason = "output_limit"

    def _read(self, selector: selectors.BaseSelector, events: Sink, errors: Sink) -> None:
        for key, _ in selector.select(TICK_S) if selector.get_map() else ():
            data = os.read(key.fd, CHUNK)
            if not data:
                selector.unregister(key.fileobj)
                continue
            if self.reason == "output_limit":
                continue
            try:
                lines = key.data.take(data)
            except OSError:
                self._end("output_limit", signal.SIGKILL, 0.0)
                continue
            if events.size + errors.size > self._max_output:
                self._end("output_limit", signal.SIGKILL, 0.0)
            elif key.data is events and self._kill_at is None and any(is_result(line) for line in lines):
                self._kill_at = time.monotonic() + self._grace_s
        if not selector.get_map():
            time.sleep(TICK_S / 10)

    def _reap(self) -> None:
        """Collect every child that has ended: as PID 1 the agent's orphans are ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._process.pid:
                self.status = self._process.returncode = os.waitstatus_to_exitcode(status)

    def _end(self, reason: str, number: signal.Signals, within_s: float) -> None:
        if self.status is None and self.reason == "exited":
            self.reason = reason
            self._kill_at = time.monotonic() + within_s
            self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, which is what was wanted
            os.killpg(self._process.pid, number)


def write_exit(out: Path, *, code: int | None, number: int | None, reason: str) -> None:
    """Put `exit.json` in place, whole or not at all."""
    draft = out / ".exit.json"
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"code": code, "signal": number, "reason": reason}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(out / "exit.json")


def _start(launch: Launch, workspace: Path, prompt: IO[bytes]) -> subprocess.Popen[bytes]:
    for name in ("HOME", "TMPDIR"):
        if name in launch.environment:
            Path(launch.environment[name]).mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        launch.argv,
        env=launch.environment,
        cwd=workspace,
        stdin=prompt,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )


def run(home: Path, workspace: Path, max_output: int = MAX_OUTPUT) -> int:
    """Run the agent of `home` once; the exit status for this process."""
    watch: Watch | None = None
    asked = False

    def on_term(_number: int, _frame: object) -> None:
        nonlocal asked
        asked = True
        if watch is not None:
            watch.terminate()

    signal.signal(signal.SIGTERM, on_term)
    out = home / "out"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        events = Sink(file=os.open(out / "events.jsonl", flags | os.O_EXCL, 0o644))
    except FileExistsError:
        if not (out / "exit.json").exists():
            write_exit(out, code=None, number=None, reason="already_started")
        return REFUSED
    errors = Sink(file=os.open(out / "stderr.txt", flags, 0o644))
    try:
        launch = read_launch(home / "in")
        with launch.prompt.open("rb") as prompt:
            process = _start(launch, workspace, prompt)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        os.write(errors.file, f"The agent could not be started: {fault!r}\n".encode())
        write_exit(out, code=CANNOT_START, number=None, reason="exited")
        return CANNOT_START
    watch = Watch(process, launch.grace_s, max_output)
    if asked:
        watch.terminate()
    watch.run(events, errors)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    status = watch.status if watch.status is not None else CANNOT_START
    code, number = (status, None) if status >= 0 else (None, -status)
    write_exit(out, code=code, number=number, reason=watch.reason)
    return status if status >= 0 else 128 - status


def main() -> None:
    """Run the agent below /ashigaru in /workspace, or below the two directories on the command line."""
    home, workspace = sys.argv[1:3] if len(sys.argv) > 2 else ("/ashigaru", "/workspace")
    sys.exit(run(Path(home), Path(workspace)))


if __name__ == "__main__":
    main()
