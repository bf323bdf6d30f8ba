"""The judge on a repository of this host, with no daemon: real git and records, fake sandboxes, and the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
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
from runner.sandboxes import Role, SandboxSpec
from runner.setup_run import Egress
from tests.fakes.behaviours import Behaviour, Ended, Inside, exits, judges
from tests.fakes.containers import FakeContainers
from tests.git_rig import ENVIRONMENT, commit_all, git, make_repository, write
from tests.story.house import NoEgress

pytestmark = pytest.mark.slow

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
    settings = load_settings(**changes)
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
