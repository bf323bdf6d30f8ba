"""The judge on a repository of this host, with no daemon: real git and records, fake sandboxes, the real command."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed
from mcp_ashigaru.commands.gates_judge import exit_code, page, value
from mcp_ashigaru.judging_here import JudgeHere, judge_here
from mcp_ashigaru.settings import ConfigError, load_settings
from runner.egress_rules import Egress as EgressRules
from runner.errors import BadIntent, ImageMissing, NotPossible
from runner.rounds import Interrupted
from runner.sandboxes import Role, SandboxSpec, SandboxStatus
from runner.setup_run import Egress
from tests.fakes.behaviours import Behaviour, Ended, Inside, exits, judges
from tests.fakes.containers import FakeContainers
from tests.git_rig import ENVIRONMENT, commit_all, git, make_repository, write
from tests.story.house import NoEgress

pytestmark = pytest.mark.slow

UNUSED = Path("/tmp/unused")  # noqa: S108 - short, and never made: the judge here makes a directory of its own
GATE = '[[gate]]\nname = "test"\nrun = "check"\njunit = "out.xml"\n'
FILES = {"total.py": "total = 0\n", ".ashigaru.toml": GATE}
PROJECT = Path(__file__).parents[2]


def report(passed: int, failed: int = 0) -> str:
    cases = [f'<testcase classname="t" name="ok{n}"/>' for n in range(passed)]
    cases += [f'<testcase classname="t" name="bad{n}"><failure>no</failure></testcase>' for n in range(failed)]
    return f"<testsuite>{''.join(cases)}</testsuite>"


def counts_lines(tree: Path, out: Path) -> tuple[int, bytes]:
    """A test for each line of total.py; one that says `wrong` fails."""
    lines = (tree / "total.py").read_text(encoding="utf-8").splitlines()
    wrong = sum("wrong" in line for line in lines)
    (out / "out.xml").write_text(report(len(lines) - wrong, wrong), encoding="utf-8")
    return (1 if wrong else 0), b"counted\n"


class Sandboxes(FakeContainers):
    def __init__(self, gate: Behaviour | None = None, set_up: Behaviour | None = None, **options: bool) -> None:
        def behaviour(spec: SandboxSpec) -> Behaviour:
            return (set_up or exits()) if spec.role is Role.SETUP else (gate or judges(counts_lines))

        super().__init__(behaviour, **options)

    def gates(self, part: str = "") -> int:
        return sum(spec.role is Role.GATE and part in spec.name for spec in self.started)


@contextmanager
def judging(
    containers: FakeContainers, *, name: str | None = None, egress: Egress | None = None, **changes: object
) -> Iterator[JudgeHere]:
    settings = load_settings(**({"state_dir": UNUSED} | changes))
    with judge_here(settings, name=name, containers=containers, egress=egress or NoEgress()) as judge:
        yield judge
    assert containers.faults == []


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """main, on whose commit `good`, `bad` and `fewer` stand."""
    make_repository(tmp_path / "widgets", FILES | {"total.py": "one\ntwo\n"})
    for branch, text in (("good", "one\ntwo\nthree\n"), ("bad", "one\nwrong\n"), ("fewer", "one\n")):
        git(tmp_path / "widgets", "checkout", "--quiet", "-b", branch, "main")
        write(tmp_path / "widgets", {"total.py": text})
        commit_all(tmp_path / "widgets", branch)
    return tmp_path / "widgets"


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose name leaves room for sockets."""
    with tempfile.TemporaryDirectory(prefix="ash", ignore_cleanup_errors=True) as path:
        yield Path(path)


def test_a_commit_is_judged_on_its_base_by_the_gates_of_the_base(repo: Path) -> None:
    containers = Sandboxes()
    with judging(containers) as judge:
        judged = judge(repo, "main", "good")
    assert isinstance(judged.verdict, Passed)
    assert judged.head is not None
    assert judged.base.commit == git(repo, "rev-parse", "main")
    assert judged.head.commit == git(repo, "rev-parse", "good")
    assert judged.head.tree == git(repo, "rev-parse", "good^{tree}")
    assert [gate.name for gate in judged.gates] == ["test"]
    assert containers.gates("base-0") >= 1
    assert containers.gates("head-1") >= 1


def test_a_red_head_fails_with_the_report_that_a_model_would_get(repo: Path) -> None:
    with judging(Sandboxes()) as judge:
        judged = judge(repo, "main", "bad")
    assert isinstance(judged.verdict, Failed)
    assert "bad0" in judged.verdict.report


def test_fewer_tests_than_on_the_base_are_for_a_person_and_are_named(repo: Path) -> None:
    with judging(Sandboxes()) as judge:
        judged = judge(repo, "main", "fewer")
    assert isinstance(judged.verdict, NeedsHuman)
    assert "ok1" in " ".join(judged.verdict.findings)
    assert judged.head is not None
    assert (judged.base.counts.passed, judged.head.counts.passed) == (2, 1)


def test_a_head_that_lacks_what_the_base_has_gained_is_told_of_where_they_parted(repo: Path) -> None:
    with judging(Sandboxes()) as judge:
        apart, after = judge(repo, "good", "fewer"), judge(repo, "main", "fewer")
    assert "git merge-base" in " ".join(apart.notices)
    assert "Beside it:" in list(page(apart))
    assert after.notices == ()


def test_what_an_agent_may_not_change_is_named_unless_fleet_toml_lets_it(repo: Path, short: Path) -> None:
    write(repo, {"total.py": "one\ntwo\nthree\n", ".github/workflows/ci.yml": "on: push\n"})
    git(repo, "add", "--all", ".")
    commit_all(repo, "workflow")
    with judging(Sandboxes()) as judge:
        judged = judge(repo, "main", "HEAD")
    assert isinstance(judged.verdict, Passed | NeedsHuman)
    assert [one for one in judged.notices if "may not change .github/workflows/ci.yml;" in one] != []
    fleet = short / "fleet.toml"
    fleet.write_text('[repo.widgets]\nallow_protected = [".github/**"]\n', encoding="utf-8")
    with judging(Sandboxes(), name="widgets", fleet_file=fleet) as judge:
        assert [one for one in judge(repo, "main", "HEAD").notices if "may not change" in one] == []
        assert [one for one in judge(repo, "main", "good").notices if "may not change" in one] == []


def test_a_red_base_is_told_and_no_head_is_judged_on_it(repo: Path) -> None:
    containers = Sandboxes()
    with judging(containers) as judge:
        judged = judge(repo, "bad", "good")
    assert isinstance(judged.verdict, Failed)
    assert judged.head is None
    assert containers.gates("head") == 0
    assert value(judged)["of"] == "base"
    assert "That is the base" in "\n".join(page(judged))


def test_gates_without_a_word_are_asked_again_and_then_that_is_the_answer(repo: Path) -> None:
    containers = Sandboxes(exits(137, b"killed\n"))
    with judging(containers) as judge:
        judged = judge(repo, "main", "good")
    assert isinstance(judged.verdict, Inconclusive)
    assert (judged.base.takes, judged.head) == (3, None)
    assert exit_code(judged.verdict) == 4


def test_the_base_is_judged_once_for_many_heads_from_several_threads(repo: Path) -> None:
    containers = Sandboxes()
    heads = ["good", "bad", "fewer"] * 3
    with judging(containers) as judge, ThreadPoolExecutor(max_workers=4) as pool:
        told = list(pool.map(lambda head: judge(repo, "main", head).verdict.kind, heads))
    assert told == ["passed", "failed", "needs_human"] * 3
    assert containers.gates("base-0") == 1


def test_nothing_is_left_of_a_judgement_and_nothing_is_written_where_the_daemon_works(
    repo: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (short / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(short / "t"))
    containers = Sandboxes()
    others = set(threading.enumerate())
    with judging(containers, state_dir=short / "state", database_url=f"sqlite:///{short}/d.db") as judge:
        judge(repo, "main", "good")
        assert containers.listing() == ()
        (state,) = (short / "t").iterdir()
        assert [path.name for path in (state / "git" / "clones").iterdir()] == []
        assert list((state / "runs").iterdir()) == []
        timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer) and one not in others]
        assert timers == [], "left for later"
    assert list((short / "t").iterdir()) == []
    assert [path.name for path in short.iterdir()] == ["t"]


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt])
def test_one_that_is_stopped_in_its_midst_leaves_no_sandbox_behind(
    repo: Path, fault: type[BaseException] | None
) -> None:
    reached, stopping = threading.Event(), threading.Event()

    def hangs(inside: Inside) -> Ended:
        reached.set()
        inside.killed.wait(20)
        return Ended(code=137)

    class Interrupting(Sandboxes):
        def status(self, name: str) -> SandboxStatus:
            if reached.is_set() and fault is not None:
                raise fault
            if reached.is_set():
                stopping.set()
            return super().status(name)

    containers = Interrupting(hangs)
    with (
        pytest.raises(fault or Interrupted),
        judge_here(
            load_settings(state_dir=UNUSED), containers=containers, egress=NoEgress(), stopping=stopping
        ) as judge,
    ):
        judge(repo, "main", "good")
    assert reached.is_set()
    assert containers.listing() == ()


def test_an_image_that_is_missing_is_refused_and_so_is_a_repository_without_gates(tmp_path: Path, repo: Path) -> None:
    with judging(Sandboxes(), gate_image="localhost/none:1") as judge, pytest.raises(ImageMissing):
        judge(repo, "main", "good")
    for name, files, told in (
        ("none", {"a.txt": "a\n"}, "has no gate"),
        ("ci", {".ashigaru.toml": 'local = "none"\n'}, "only its CI"),
        ("bad", {".ashigaru.toml": "[[gate]]\nname = 3\n"}, "gate.1.name"),
    ):
        make_repository(tmp_path / name, files)
        containers = Sandboxes()
        containers.down = True
        with judging(containers) as judge, pytest.raises(NotPossible, match=told):
            judge(tmp_path / name, "main", "HEAD")


class Hosts(NoEgress):
    def __init__(self) -> None:
        self.rules: list[EgressRules] = []

    def open(self, owner: str, socket_dir: Path, rules: EgressRules) -> None:  # noqa: ARG002 - the port's
        self.rules.append(rules)


def test_a_set_up_goes_where_fleet_toml_says_and_serves_its_own_repository_alone(tmp_path: Path, short: Path) -> None:
    (short / "fleet.toml").write_text(
        '[default]\negress = ["a.example:1"]\n[repo."acme/widgets"]\negress = ["b.example:2"]\n', encoding="utf-8"
    )
    files = {".ashigaru.toml": f'[setup]\nrun = ["true"]\nmanifests = ["m"]\n{GATE}', "total.py": "one\n", "m": "m\n"}
    for place in ("one", "two"):
        make_repository(tmp_path / place, files)
    rules = []
    for name in (None, "acme/widgets"):
        egress = Hosts()
        with judging(Sandboxes(), name=name, egress=egress, state_dir=short) as judge:
            for place in ("one", "two", "one"):
                assert isinstance(judge(tmp_path / place, "main", "main").verdict, Passed)
        rules.append([sorted(one.allowed) for one in egress.rules])
    assert rules == [[["a.example:1"]] * 2, [["b.example:2"]] * 2]


def test_the_json_value_and_the_page_tell_the_verdict_with_its_evidence(repo: Path) -> None:
    with judging(Sandboxes()) as judge:
        red, fewer = judge(repo, "main", "bad"), judge(repo, "main", "fewer")
    told = json.loads(json.dumps(value(red)))
    assert (told["verdict"], told["of"], told["repository"]) == ("failed", "head", str(repo))
    assert told["gates"] == [{"name": "test", "run": "check", "junit": "out.xml", "required": True, "timeout_s": 600}]
    assert told["head"]["tests"] == {"ran": 2, "passed": 1, "failed": 1, "skipped": 0}
    assert told["head"]["commit"] == git(repo, "rev-parse", "bad")
    assert "bad0" in told["head"]["report"]
    lines = list(page(red))
    assert lines[0] == "failed: gate test: 1 of 2 tests failed"
    assert "2 ran, 1 passed, 1 failed, 0 skipped" in "\n".join(lines)
    assert "bad0" in lines[-1]
    assert value(fewer)["head"]["findings"]
    assert "For a person to decide:" in list(page(fewer))
    assert [exit_code(one.verdict) for one in (red, fewer)] == [1, 1]


def test_a_page_shows_no_terminal_escape_of_the_repositorys(tmp_path: Path) -> None:
    gate = '[[gate]]\nname = "test"\nrun = "check \\u001b[2J"\n'
    make_repository(tmp_path / "w", {".ashigaru.toml": gate})
    with judging(Sandboxes(exits(1, b"\x1b[31mred\x1b[0m\n"))) as judge:
        judged = judge(tmp_path / "w", "main", "main")
    assert "\x1b" not in "\n".join(page(judged))


def test_a_temporary_directory_too_deep_for_sockets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 70)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(ConfigError, match="TMPDIR"), judge_here(load_settings(state_dir=UNUSED)):
        pass
    assert list(deep.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--repo", "gone", "--base", "main"), "not a git repository"),
        (("--base", "gone"), "gone names no commit"),
        (("--base", "main", "--head", "gone"), "gone names no commit"),
        (("--base", "main", "--name", "../x"), "repo must be"),
        (("--base", "main", "--head", "good"), "podman is not installed"),
    ],
)
def test_the_command_refuses_what_cannot_be_with_one_sentence_and_exit_2(
    repo: Path, short: Path, arguments: tuple[str, ...], told: str
) -> None:
    found = short / "bin"
    found.mkdir()
    for tool in ("env", "git"):
        where = next(Path(part, tool) for part in ENVIRONMENT["PATH"].split(":") if Path(part, tool).exists())
        (found / tool).symlink_to(where)
    done = subprocess.run(
        [sys.executable, "-c", "from mcp_ashigaru.cli import main; main()", "gates", "judge", *arguments],
        cwd=repo,
        env={"PATH": str(found), "HOME": str(short), "PYTHONPATH": str(PROJECT), "TMPDIR": tempfile.gettempdir()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_revision_that_is_unknown_is_refused_by_the_judge_itself(repo: Path) -> None:
    with judging(Sandboxes()) as judge, pytest.raises(BadIntent):
        judge(repo, "main", "gone")
