"""The agent's entrypoint, run as a process with stand-ins for the agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.images.agent import entrypoint
from runner.launch import AgentExit, ExitReason, launch_file, read_exit

DEADLINE_S = 20.0
RESULT = '{"type":"result","subtype":"success"}'


class Place:
    """The directories of one attempt."""

    def __init__(self, root: Path) -> None:
        self.home = root / "ashigaru"
        self.workspace = root / "workspace"
        self.out = self.home / "out"
        for folder in (self.home / "in", self.out, self.workspace):
            folder.mkdir(parents=True)

    def launch(self, program: str, *, grace_s: int = 20, environment: dict[str, str] | None = None) -> None:
        """Have the agent be this Python program."""
        argv = (sys.executable, "-I", "-u", "-c", program)
        given = environment if environment is not None else {"MARK": "m"}
        (self.home / "in" / "launch.json").write_bytes(launch_file(argv, given, completion_grace_s=grace_s))
        (self.home / "in" / "prompt.txt").write_text("the prompt", encoding="utf-8")

    def start(self, *, max_output: int | None = None) -> subprocess.Popen[bytes]:
        if max_output is None:
            command = [sys.executable, "-I", str(entrypoint.__file__), str(self.home), str(self.workspace)]
        else:
            code = (
                "import sys; sys.path[:0] = sys.argv[1:2]; from pathlib import Path; import entrypoint;"
                "sys.exit(entrypoint.run(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))"
            )
            folder = str(Path(str(entrypoint.__file__)).parent)
            command = [sys.executable, "-c", code, folder, str(self.home), str(self.workspace), str(max_output)]
        return subprocess.Popen(command, env={**os.environ, "LEAK": "from outside"})

    def run(self, *, max_output: int | None = None) -> int:
        with self.start(max_output=max_output) as process:
            return process.wait(DEADLINE_S)

    @property
    def events(self) -> bytes:
        return (self.out / "events.jsonl").read_bytes()

    @property
    def exit(self) -> AgentExit | None:
        return read_exit((self.out / "exit.json").read_bytes())


def watch(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come to pass")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_agent_gets_its_prompt_its_environment_and_the_tree_and_nothing_else(place: Place) -> None:
    place.launch(
        "import os, json, sys; print(json.dumps([sys.stdin.read(), dict(os.environ), os.getcwd()]));"
        "print('a warning', file=sys.stderr)",
        environment={"HOME": str(place.home / "made"), "MARK": "m"},
    )
    assert place.run() == 0
    prompt, environment, folder = json.loads(place.events)
    assert (prompt, folder) == ("the prompt", str(place.workspace))
    assert set(environment) - {"LC_CTYPE"} == {"HOME", "MARK"}
    assert (place.home / "made").is_dir()
    assert (place.out / "stderr.txt").read_text(encoding="utf-8") == "a warning\n"
    assert place.exit == AgentExit(code=0, signal=None, reason=ExitReason.EXITED)


def test_the_agents_exit_code_and_its_last_unfinished_line_are_kept(place: Place) -> None:
    place.launch("import sys; sys.stdout.write('one\\ntwo'); sys.exit(5)")
    assert place.run() == 5
    assert place.events == b"one\ntwo"
    assert place.exit == AgentExit(code=5, signal=None, reason=ExitReason.EXITED)


def test_a_signal_is_told_as_a_signal(place: Place) -> None:
    place.launch("import os; os.kill(os.getpid(), 9)")
    assert place.run() == 137
    assert place.exit == AgentExit(code=None, signal=9, reason=ExitReason.EXITED)


def test_only_whole_lines_are_written_while_it_runs(place: Place) -> None:
    place.launch("import sys, time; sys.stdout.write('one\\nhal'); sys.stdout.flush(); time.sleep(60)")
    with place.start() as process:
        watch(lambda: (place.out / "events.jsonl").exists() and place.events != b"")
        assert place.events == b"one\n"
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_S)
    assert place.events == b"one\nhal"


def test_sigterm_is_passed_on_and_told(place: Place) -> None:
    place.launch(
        "import signal, sys, time; signal.signal(15, lambda *a: (print('bye'), sys.exit(143)));"
        "print('up'); time.sleep(60)"
    )
    with place.start() as process:
        watch(lambda: (place.out / "events.jsonl").exists() and place.events == b"up\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 143
    assert place.events == b"up\nbye\n"
    assert place.exit == AgentExit(code=143, signal=None, reason=ExitReason.TERMINATED)


def test_an_agent_that_does_not_heed_sigterm_is_killed(place: Place) -> None:
    place.launch("import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)")
    with place.start() as process:
        watch(lambda: (place.out / "events.jsonl").exists() and place.events == b"up\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 137
    assert place.exit == AgentExit(code=None, signal=9, reason=ExitReason.TERMINATED)


def test_an_agent_that_does_not_leave_after_its_result_is_killed(place: Place) -> None:
    place.launch(f"import time; print('{RESULT}'); time.sleep(60)", grace_s=0)
    assert place.run() == 137
    assert place.exit == AgentExit(code=None, signal=9, reason=ExitReason.GRACE)
    assert place.events.decode() == RESULT + "\n"


def test_a_line_that_only_speaks_of_a_result_is_none(place: Place) -> None:
    line = json.dumps({"type": "assistant", "text": '{"type":"result"} and "result"'})
    place.launch(f"print({line!r}); print('\"result\"'); import time; time.sleep(0.5)", grace_s=0)
    assert place.run() == 0
    assert place.exit == AgentExit(code=0, signal=None, reason=ExitReason.EXITED)


def test_a_flood_is_stopped(place: Place) -> None:
    place.launch("import sys\nwhile True: print('x' * 999)")
    assert place.run(max_output=100_000) == 137
    assert place.exit == AgentExit(code=None, signal=9, reason=ExitReason.OUTPUT_LIMIT)
    assert len(place.events) < 300_000


def test_a_flood_without_a_line_end_is_stopped(place: Place) -> None:
    place.launch("import sys\nwhile True: sys.stderr.write('x' * 999)")
    assert place.run(max_output=100_000) == 137
    assert place.exit == AgentExit(code=None, signal=9, reason=ExitReason.OUTPUT_LIMIT)


def test_what_the_agent_leaves_running_is_ended(place: Place) -> None:
    place.launch(
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(p.pid)"
    )
    assert place.run() == 0
    try:
        state = Path(f"/proc/{int(place.events)}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        state = "gone"
    assert state in {"gone", "Z"}


def test_an_attempt_is_started_at_most_once(place: Place) -> None:
    place.launch("print('ran')")
    assert place.run() == 0
    before = (place.out / "exit.json").read_bytes()
    assert place.run() == 3
    assert place.events == b"ran\n"
    assert (place.out / "exit.json").read_bytes() == before


def test_an_attempt_whose_first_start_left_no_record_is_told_as_already_started(place: Place) -> None:
    place.launch("print('ran')")
    (place.out / "events.jsonl").write_bytes(b"earlier\n")
    assert place.run() == 3
    assert place.events == b"earlier\n"
    assert place.exit == AgentExit(code=None, signal=None, reason=ExitReason.ALREADY_STARTED)


@pytest.mark.parametrize("launch", ["", "[]", "{}", '{"argv": ["/nobody"], "environment": {}}', '{"argv": 1}'])
def test_a_launch_that_cannot_be_read_is_told(place: Place, launch: str) -> None:
    place.launch("print('ran')")
    (place.home / "in" / "launch.json").write_text(launch, encoding="utf-8")
    assert place.run() == 127
    assert place.exit == AgentExit(code=127, signal=None, reason=ExitReason.EXITED)
    assert "could not be started" in (place.out / "stderr.txt").read_text(encoding="utf-8")


def test_a_program_that_is_not_there_is_told(place: Place) -> None:
    place.launch("print('ran')")
    (place.home / "in" / "launch.json").write_bytes(launch_file(("/nobody/home",), {}))
    assert place.run() == 127
    assert place.exit == AgentExit(code=127, signal=None, reason=ExitReason.EXITED)
