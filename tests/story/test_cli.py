"""The commands, through their real entry points, against a running daemon."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcp_ashigaru import __version__
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import AgentAtWork, Behaviour, Held, judges, works
from tests.fakes.containers import FakeContainers
from tests.story.house import Foreman, House, free_port, repository

# Every command is a process that imports the whole house.
pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
PEOPLE, DAEMON = "from mcp_ashigaru.cli import main; main()", "from mcp_ashigaru.cli import serve_main; serve_main()"
FILES = {"total.py": "total = 0\n", ".ashigaru.toml": '[[gate]]\nname = "test"\nrun = "check"\n'}


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Runs commands as a person would, on one state directory."""

    state: Path
    port: int

    def argv(self, arguments: tuple[str, ...], entry: str) -> list[str]:
        start = ["-m", "mcp_ashigaru"] if entry == "-m" else ["-c", entry]
        return [sys.executable, *start, *arguments]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
            "TERM": "dumb",
            "PYTHONPATH": str(PROJECT),
            "ASHIGARU_STATE_DIR": str(self.state),
            "ASHIGARU_PORT": str(self.port),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command, at work."""
        return subprocess.Popen(
            self.argv(arguments, PEOPLE),
            cwd=self.state,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *arguments: str, code: int = 0, entry: str = PEOPLE, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(arguments, entry),
            cwd=self.state,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def refused(self, *arguments: str, entry: str = PEOPLE, **variables: str) -> str:
        done = self.run(*arguments, code=2, entry=entry, **variables)
        assert done.stdout == ""
        sentence = done.stderr.removesuffix("\n")
        assert "\n" not in sentence, sentence
        assert len(sentence) < 300
        assert sentence.endswith((".", "?"))
        assert "Traceback" not in sentence
        return sentence


def passes(_tree: Path, _out: Path) -> tuple[int, bytes]:
    return 0, b"fine\n"


def writes(agent: AgentAtWork) -> None:
    (agent.tree / "total.py").write_text("total = 1\n", encoding="utf-8")
    agent.result()


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ash", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return repository(tmp_path / "widgets", FILES)


def house_of(state: Path, agent: Behaviour, gate: Behaviour | None = None) -> House:
    def behaviour(spec: SandboxSpec) -> Behaviour:
        return agent if spec.role is Role.AGENT else gate or judges(passes)

    return House(state=state, containers=FakeContainers(behaviour))


def shell_of(foreman: Foreman, state: Path) -> Shell:
    return Shell(state=state, port=int(foreman.url.rsplit(":", 1)[1]))


@pytest.fixture
def alone(state: Path) -> Shell:
    """A shell where no daemon runs."""
    return Shell(state=state, port=free_port())


def test_a_person_works_an_issue_from_the_shell_to_its_merge(state: Path, source: Path) -> None:
    with house_of(state, works(writes)).daemon() as foreman:
        shell = shell_of(foreman, state)
        assert shell.run("forge", "add", str(source)).stdout == "widgets\n"
        assert shell.run("forge", "issue", "widgets", "Totals are off by one").stdout == "1\n"
        told = shell.run("work", "widgets", "1", "Totals are off by one.", "--follow").stdout
        run_id = told.splitlines()[0]
        assert "gate on head: passed" in told
        assert told.index("gate on head") < told.index("awaiting_review")
        status = json.loads(shell.run("status", run_id, "--json").stdout)
        assert status["phase"] == "awaiting_review"
        assert run_id in shell.run("runs").stdout
        assert json.loads(shell.run("runs", "--json").stdout)[0]["run_id"] == run_id
        pull = shell.run("forge", "pr", "widgets", str(status["pull"]["number"]), "--diff").stdout
        assert "+total = 1" in pull
        wrong = shell.run("promote", "widgets", str(status["pull"]["number"]), "--head-sha", "0" * 40, code=1)
        assert wrong.stdout.endswith(".\n")
        merged = shell.run("promote", "widgets", str(status["pull"]["number"]), "--head-sha", status["head_sha"])
        assert merged.stdout.startswith("Merged as ")
        assert "merged" in shell.run("status", run_id).stdout.lower()
        assert "merged" in shell.refused("request-changes", run_id, "More, please.")


def test_a_run_is_cancelled_from_the_shell_and_following_it_ends_with_one(state: Path, source: Path) -> None:
    agent = Held(first=lambda _agent: None, then=lambda at_work: at_work.result())
    with house_of(state, agent).daemon() as foreman:
        shell = shell_of(foreman, state)
        shell.run("forge", "add", source.as_uri(), "--name", "acme/widgets")
        run_id = shell.run("work", "acme/widgets", "3", "Totals are off by one.").stdout.strip()
        assert agent.reached.wait(20)
        assert shell.run("cancel", run_id).stdout.startswith(run_id)
        done = shell.run("status", run_id, "--follow", "--json", code=1)
        assert json.loads(done.stdout)["phase"] == "cancelled"
        assert "cancelled" in shell.refused("cancel", run_id)


def test_a_run_that_no_tier_could_do_ends_with_one(state: Path, source: Path) -> None:
    def red(tree: Path, _out: Path) -> tuple[int, bytes]:
        return (0, b"") if (tree / "total.py").read_text(encoding="utf-8") == "total = 0\n" else (1, b"wrong\n")

    with house_of(state, works(writes), judges(red)).daemon() as foreman:
        shell = shell_of(foreman, state)
        shell.run("forge", "add", str(source))
        assert "escalated" in shell.run("work", "widgets", "1", "Totals.", "--follow", code=1).stdout


def grows(agent: AgentAtWork) -> None:
    """An agent that is refused until it has seen the whole ladder once."""
    path = agent.tree / "total.py"
    path.write_text(path.read_text(encoding="utf-8") + "total += 1\n", encoding="utf-8")
    agent.result()


# Some twenty commands, each a process of its own.
@pytest.mark.timeout(300)
def test_a_run_that_came_to_nothing_is_looked_at_and_retried_from_the_shell(state: Path, source: Path) -> None:
    def check(tree: Path, _out: Path) -> tuple[int, bytes]:
        lines = (tree / "total.py").read_text(encoding="utf-8").count("\n")
        return (0, b"fine\n") if lines in {1, 5} else (1, b"wrong total\n")

    with house_of(state, works(grows), judges(check)).daemon() as foreman:
        shell = shell_of(foreman, state)
        shell.run("forge", "add", str(source))
        run_id = shell.run("work", "widgets", "1", "Totals.", "--follow", code=1).stdout.splitlines()[0]

        (line,) = shell.run("runs", "--repo", "widgets", "--phase", "escalated", "--limit", "5").stdout.splitlines()
        fields = line.split("\t")
        assert (fields[:4], fields[5], len(fields)) == ([run_id, "escalated", "huge", ""], "", 7)
        assert shell.run("runs", "--phase", "merged").stdout == ""
        assert json.loads(shell.run("runs", "--phase", "merged", "--json").stdout) == []
        assert "escalated" in shell.refused("runs", "--phase", "asleep")

        told = shell.run("logs", run_id).stdout
        assert "\tgate\tattempt 3\tfailed\t" in told
        assert "    wrong total" in told
        only = [line.split("\t") for line in shell.run("logs", run_id, "--gate", "--attempt", "2").stdout.splitlines()]
        assert [fields[1:4] for fields in only if len(fields) == 5] == [["gate", "attempt 2", "failed"]]
        whole = json.loads(shell.run("logs", run_id, "--json").stdout)
        assert {one["source"] for one in whole["entries"]} == {"agent", "gate"}
        followed = shell.run("logs", run_id, "--follow", "--json", code=1)
        assert json.loads(followed.stdout)["entries"] == whole["entries"]
        assert "wrong total" in followed.stderr
        assert "attempt" in shell.refused("logs", run_id, "--attempt", "-1")

        assert shell.run("diff", run_id, "--stat").stdout == "3\t0\ttotal.py\n"
        assert "+total += 1" in shell.run("diff", run_id).stdout
        assert json.loads(shell.run("diff", run_id, "--json").stdout)["truncated"] is False

        assert "awaiting_review" in shell.run("retry", run_id, "--follow").stdout
        assert "cancel it first" in shell.refused("retry", run_id)
        assert json.loads(shell.run("cancel", run_id, "--json").stdout)["status"] == "cancelled"
        assert "--from-start" in shell.refused("retry", run_id, "--from-start")
        assert shell.run("retry", run_id).stdout.startswith(f"{run_id} ")


def test_who_stops_following_leaves_with_130_and_the_run_goes_on(state: Path, source: Path) -> None:
    agent = Held(first=lambda _agent: None, then=writes)
    with house_of(state, agent).daemon() as foreman:
        shell = shell_of(foreman, state)
        shell.run("forge", "add", str(source))
        run_id = shell.run("work", "widgets", "1", "Totals.").stdout.strip()
        assert agent.reached.wait(20)
        for command in ("logs", "status"):
            with shell.start(command, run_id, "--follow") as following:
                # Its first word says that it is at it.
                assert following.stdout is not None
                assert following.stdout.readline()
                following.send_signal(signal.SIGINT)
                said = following.communicate(timeout=30)
            assert following.returncode == 130, said
            assert "The run goes on" in said[1]
            assert "Traceback" not in said[1]
        assert foreman.call("status", run_id=run_id)["phase"] == "agent"
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
        assert "gate on head" in shell.run("logs", run_id, "--follow").stdout


@pytest.mark.parametrize("command", [("runs", "--json"), ("--help",), ("runs",)])
def test_a_reader_that_goes_away_is_no_trouble(state: Path, source: Path, command: tuple[str, ...]) -> None:
    with house_of(state, works(writes)).daemon() as foreman:
        shell = shell_of(foreman, state)
        shell.run("forge", "add", str(source))
        foreman.at_rest(foreman.work())
        with shell.start(*command) as left:
            assert left.stdout is not None
            left.stdout.close()
            assert left.stderr is not None
            assert left.stderr.read() == ""
            assert left.wait(30) == 141


def test_what_the_daemon_refuses_is_its_sentence(state: Path, source: Path) -> None:
    with house_of(state, works(writes)).daemon() as foreman:
        shell = shell_of(foreman, state)
        shell.run("forge", "add", str(source))
        assert "nowhere" in shell.refused("work", "nowhere", "1", "Totals are off by one.")
        assert "issue" in shell.refused("work", "widgets", "0", "Totals are off by one.")
        assert "run" in shell.refused("status", "nobody-1-aaaaaa")
        assert "limit" in shell.refused("runs", "--limit", "0")
        assert "pull request" in shell.refused("forge", "pr", "widgets", "9")
        assert "nowhere" in shell.refused("forge", "issue", "nowhere", "Title")
        assert "repo" in shell.refused("forge", "issue", "--", "-x", "Title")
        assert shell.run("promote", "widgets", "9", code=1).stdout.endswith(".\n")


def test_a_second_daemon_on_the_same_state_directory_is_refused(state: Path) -> None:
    with house_of(state, works(writes)).daemon():
        second = Shell(state=state, port=free_port())
        sentence = second.refused("--port", str(second.port), entry=DAEMON, ANTHROPIC_API_KEY="k")
        assert "Another daemon works on" in sentence


def test_without_a_daemon_a_command_says_how_to_start_one(alone: Shell) -> None:
    assert "mcp-ashigaru serve" in alone.refused("runs")


def test_the_forge_refuses_what_is_no_repository(alone: Shell) -> None:
    alone.refused("forge", "add", str(alone.state / "none"))
    alone.refused("forge", "add", "ext::sh -c true")
    assert "repo" in alone.refused("forge", "add", str(alone.state), "--name", "../x")


@pytest.mark.parametrize(("entry", "flag"), [("-m", "--transport"), (DAEMON, "--host"), (PEOPLE, "request-changes")])
def test_every_entry_point_has_help(alone: Shell, entry: str, flag: str) -> None:
    assert flag in alone.run("--help", entry=entry).stdout


@pytest.mark.parametrize("entry", ["-m", DAEMON, PEOPLE])
def test_every_entry_point_says_its_version(alone: Shell, entry: str) -> None:
    assert alone.run("--version", entry=entry).stdout == f"mcp-ashigaru {__version__}\n"


def test_a_command_that_there_is_not_is_misuse(alone: Shell) -> None:
    assert "No such command" in alone.run("promotte", code=2).stderr


def test_a_port_in_use_is_one_sentence(alone: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", alone.port))
        taken.listen()
        for entry in ("-m", DAEMON):
            assert str(alone.port) in alone.refused(entry=entry, ANTHROPIC_API_KEY="k")
    assert not (alone.state / "ashigaru.db").exists()


def test_a_daemon_without_a_token_says_which_to_set(alone: Shell) -> None:
    assert "ANTHROPIC_API_KEY_FILE" in alone.refused(entry=DAEMON)


def test_a_cassette_that_is_missing_or_broken_is_one_sentence(alone: Shell) -> None:
    broken = alone.state / "broken.toml"
    broken.write_text("[[", encoding="utf-8")
    for file in (alone.state / "none.toml", broken):
        assert "cassette" in alone.refused(entry=DAEMON, ASHIGARU_MODEL_UPSTREAM=f"replay:{file}")
    assert "ASHIGARU_MODEL_UPSTREAM" in alone.refused(entry=DAEMON, ASHIGARU_MODEL_UPSTREAM="gpt")


def test_a_host_without_podman_is_told_how_to_get_it(alone: Shell, tmp_path: Path) -> None:
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "git").symlink_to(git)
    assert "podman" in alone.refused(entry=DAEMON, ANTHROPIC_API_KEY="k", PATH=str(tmp_path))
    report = alone.run("doctor", code=1, PATH=str(tmp_path)).stdout
    assert "podman" in report
    assert "fail" in report
    told = json.loads(alone.run("doctor", "--json", code=1, PATH=str(tmp_path)).stdout)
    assert {"level", "subject", "text", "cure"} == set(told[0])
    assert "podman" in alone.refused("doctor", "--self-test", PATH=str(tmp_path))


def test_where_set_ups_may_go_is_shown_for_each_repository_and_a_bad_fleet_file_is_one_sentence(alone: Shell) -> None:
    fleet = alone.state / "fleet.toml"
    fleet.write_text(
        '[repo."acme/widgets"]\negress = ["mirror.example:8443"]\negress_private = ["mirror.example"]\n',
        encoding="utf-8",
    )
    shown = alone.run("egress", "show", "--repo", "Acme/Widgets").stdout
    assert shown == "mirror.example:8443  egress\nmay be private: mirror.example\n"
    assert alone.run("egress", "show").stdout == "nothing: set-ups have no network\n"
    fleet.write_text('[repo."acme/widgets"]\negress = ["10.0.0.1:443"]\n', encoding="utf-8")
    for arguments in (("egress", "show"), ()):
        entry = PEOPLE if arguments else DAEMON
        said = alone.refused(*arguments, entry=entry, ANTHROPIC_API_KEY="k")
        assert '[repo."acme/widgets"] egress.1' in said
    assert "fleet.toml" in alone.run("doctor", code=1).stdout


@pytest.mark.parametrize("entry", ["-m", DAEMON])
def test_a_bad_setting_or_flag_is_one_sentence(alone: Shell, entry: str) -> None:
    assert "ASHIGARU_SLOTS" in alone.refused(entry=entry, ASHIGARU_SLOTS="many")
    assert "did you mean" in alone.refused(entry=entry, ASHIGARU_SLOT="3")
    assert "token" in alone.refused("--host", "0.0.0.0", entry=entry)  # noqa: S104 - to see it refused
    assert "192.0.2.7" in alone.refused("--host", "192.0.2.7", entry=entry, ASHIGARU_MCP_TOKEN="t")


def test_a_state_directory_that_cannot_be_made_is_one_sentence(alone: Shell) -> None:
    (alone.state / "file").touch()
    assert "ASHIGARU_STATE_DIR" in alone.refused(
        "--state-dir", str(alone.state / "file" / "x"), entry=DAEMON, ANTHROPIC_API_KEY="k"
    )


def test_a_fault_of_ours_is_a_trace_and_three(alone: Shell) -> None:
    entry = "import mcp_ashigaru.cli as c; c._guarded(lambda: 1 / 0)"
    done = alone.run(code=3, entry=entry)
    assert "ZeroDivisionError" in done.stderr
    assert done.stdout == ""


def test_spending_is_halted_and_resumed_without_a_daemon(alone: Shell) -> None:
    told = alone.run("halt", "--reason", "The bill looks odd.")
    assert told.stdout.strip().endswith("Z: The bill looks odd.")
    assert "No daemon could be asked" in told.stderr
    assert alone.run("halt", "--reason", "Another.").stdout.strip().endswith("Z: The bill looks odd.")
    assert alone.run("resume").stdout == "resumed\n"
    assert alone.run("resume").stdout == "was not halted\n"


def test_a_halt_that_the_running_daemon_does_not_hear_of_is_told_as_refused(state: Path, source: Path) -> None:
    with house_of(state, works(writes)).daemon() as foreman:
        shell = shell_of(foreman, state)
        shell.run("forge", "add", str(source))
        run_id = foreman.work()
        assert shell.run("halt").stderr == ""
        assert "All spending is halted" in shell.run("runs").stderr
        assert "All spending is halted" in shell.run("status", run_id).stdout
        assert shell.run("resume").stderr == ""
        told = shell.run("halt", code=2, ASHIGARU_STATE_DIR=str(state / "e"))
        assert "ASHIGARU_STATE_DIR" in told.stderr
        assert not foreman.call("list_runs")["halted"]
