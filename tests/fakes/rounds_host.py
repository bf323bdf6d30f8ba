"""The other end of `rounds_program`: starts it, asks it, kills it, and remembers everything it said."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = _ROOT / "tests" / "fakes" / "rounds_program.py"
PATIENCE_S = 40.0


class HostProcess:
    """A host in a process of its own. Every wait fails after PATIENCE_S with all that was said."""

    def __init__(self, database_url: str, host: str, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), "--db", database_url, "--host", host, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(_ROOT), "PATH": "/usr/bin:/bin"},
            encoding="utf-8",
        )
        self._said: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._numbers = count()
        self._ears = threading.Thread(target=self._listen, daemon=True)
        self._ears.start()

    def ask(self, do: str, **fields: Any) -> Any:
        """What the host answers; the name of the fault if it raised one."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "id": number, **fields}) + "\n")
        self._process.stdin.flush()
        reply = self.heard(to=number)
        return reply.get("answer", reply.get("error"))

    def heard(self, **wanted: Any) -> dict[str, Any]:
        """The first thing said that has these fields, waited for."""
        with self._news:
            if not self._news.wait_for(lambda: bool(self._matching(wanted)), PATIENCE_S):
                raise AssertionError(f"never heard {wanted}, only {self._said}")
            return self._matching(wanted)[0]

    def steps(self, run: str, number: int = 1) -> list[str]:
        """The steps begun for the round so far, in order."""
        with self._news:
            return [said["step"] for said in self._matching({"event": "begun", "run": run, "number": number})]

    def told(self, event: str) -> list[dict[str, Any]]:
        """Everything said under that heading so far."""
        with self._news:
            return self._matching({"event": event})

    def kill(self) -> None:
        """SIGKILL, and everything said until then is heard."""
        self._process.kill()
        self._end()

    def leave(self) -> None:
        """End of input: the program leaves at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._end()

    @property
    def gone(self) -> bool:
        """The process has ended and been reaped."""
        return self._process.returncode is not None

    def _end(self) -> None:
        self._process.wait(PATIENCE_S)
        self._ears.join(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def _matching(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        return [said for said in self._said if wanted.items() <= said.items()]

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._said.append(json.loads(line))
                self._news.notify_all()
