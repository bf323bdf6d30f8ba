"""The shipped demo tells its story, shown here without a container: green, red for one test, green with one more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gates.head import Change, Taken, judge_head
from gates.judge import judge
from gates.observed import Counts, Observation, summarise
from gates.plan import GATE_FILE, OUT, WORKSPACE, GatePlan, plan, shell_script
from gates.verdict import Failed, Passed, Verdict
from runner.gateway.cassette import load_cassette
from runner.intents import repo_name

DEMO = Path(__file__).parents[2] / "demo"
CASSETTE: dict[str, Any] = tomllib.loads((DEMO / "cassette.toml").read_text(encoding="utf-8"))
BASE_TESTS = 13


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the gate says of the copy as it stands."""

    verdict: Verdict
    counts: Counts


class Workspace:
    """A copy of the demo repository, judged as a gate's sandbox would judge it."""

    def __init__(self, root: Path) -> None:
        self.files = root / "workspace"
        self.out = root / "out"
        shutil.copytree(DEMO / "repo", self.files, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        self.out.mkdir()
        self.plan = self._plan()

    def _plan(self) -> GatePlan:
        paths = [path.relative_to(self.files).as_posix() for path in self.files.rglob("*") if path.is_file()]
        found = plan(None, paths, lambda path: (self.files / path).read_bytes())
        assert isinstance(found, GatePlan)
        return found

    def judged(self, base: Counts | None = None) -> Told:
        (gate,) = self.plan.gates
        assert gate.junit is not None
        report = self.out / gate.junit
        report.unlink(missing_ok=True)
        script = shell_script(self.plan, gate).replace(WORKSPACE, str(self.files)).replace(OUT, str(self.out))
        ran = subprocess.run(
            ["sh", "-c", script],
            # PATH finds this interpreter as python3; plug-ins of this environment are not the demo's.
            env={"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        seen = Observation(
            gate=gate,
            exit_code=ran.returncode,
            timed_out=False,
            oom=False,
            started=True,
            output=ran.stdout + ran.stderr,
            junit=report.read_bytes() if report.exists() else None,
        )
        verdict = judge(self.plan, [seen]) if base is None else judge_head(self.plan, [Taken(own=seen)], base, Change())
        return Told(verdict=verdict, counts=summarise([seen]))

    def play(self, tier: str) -> None:
        """Carry out what the tier's script writes, as literally as Claude's own file tools do."""
        (script,) = [one for one in CASSETTE["script"] if one["tier"] == tier]
        read: set[str] = set()
        for call in [call for turn in script["turn"] for call in turn.get("tool", [])]:
            told = call["input"]
            path = self.files / told.get("file_path", ".").removeprefix("{cwd}/")
            match call["name"]:
                case "Read":
                    assert path.is_file()
                    read.add(told["file_path"])
                case "Edit":
                    # The tool refuses to edit what was not read, and what is not there exactly once.
                    assert told["file_path"] in read
                    text = path.read_text(encoding="utf-8")
                    assert text.count(told["old_string"]) == 1
                    path.write_text(text.replace(told["old_string"], told["new_string"]), encoding="utf-8")
                case "Write":
                    assert not path.exists()
                    path.write_text(told["content"], encoding="utf-8")
                case other:
                    assert other == "Grep"

    def says(self, expression: str) -> str:
        program = f"from durations import format_duration; print({expression})"
        return subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(self.files / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=True,
        ).stdout.strip()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_the_demo_is_found_by_autodetection_and_needs_nothing_set_up(workspace: Workspace) -> None:
    assert not (workspace.files / GATE_FILE).exists()
    assert workspace.plan.setup is None
    assert workspace.plan.image is None


def test_the_base_is_green_and_has_the_bug_that_the_issue_tells_of(workspace: Workspace) -> None:
    told = workspace.judged()

    assert isinstance(told.verdict, Passed)
    assert told.counts.tests == BASE_TESTS
    assert workspace.says("format_duration(119.7), format_duration(3599.6)") == "1m 60s 59m 60s"


def test_the_first_tier_repairs_the_issue_and_the_gate_refuses_it_for_one_test(workspace: Workspace) -> None:
    base = workspace.judged().counts
    workspace.play("sonnet")

    told = workspace.judged(base)

    assert workspace.says("format_duration(119.7), format_duration(3599.6)") == "2m 1h"
    assert isinstance(told.verdict, Failed)
    assert told.counts.failed == 1
    assert "test_less_than_a_second_keeps_its_digits" in told.verdict.report
    assert "test_a_negative_duration" not in told.verdict.report


def test_the_second_tier_goes_on_from_the_first_and_passes_with_one_more_test(workspace: Workspace) -> None:
    base = workspace.judged().counts
    workspace.play("sonnet")
    workspace.play("opus")

    told = workspace.judged(base)

    assert isinstance(told.verdict, Passed)
    assert told.counts.tests == BASE_TESTS + 1


def test_the_second_tiers_test_fails_without_its_fix(workspace: Workspace) -> None:
    untouched = (workspace.files / "src/durations/formatting.py").read_bytes()
    workspace.play("sonnet")
    workspace.play("opus")
    (workspace.files / "src/durations/formatting.py").write_bytes(untouched)

    told = workspace.judged()

    assert isinstance(told.verdict, Failed)
    assert "test_rounding_carries_into_minutes_and_hours" in told.verdict.report


def test_the_issue_names_what_is_wrong_and_a_repository_for_the_forge() -> None:
    issue = tomllib.loads((DEMO / "issue.toml").read_text(encoding="utf-8"))

    assert repo_name(issue["repo"]) == issue["repo"]
    assert set(issue) == {"repo", "title", "brief"}
    assert "format_duration(119.7)" in issue["brief"]


def test_the_gateway_replays_the_first_tiers_script_before_the_second_tiers() -> None:
    assert [script.tier for script in load_cassette(DEMO / "cassette.toml").script] == ["sonnet", "opus"]


def test_every_turn_says_what_it_used_so_that_the_demo_shows_money() -> None:
    for script in CASSETTE["script"]:
        assert len(script["turn"]) in range(3, 6)
        assert all(turn["usage"]["output_tokens"] > 0 for turn in script["turn"])
        assert script["turn"][-1].get("tool") is None
