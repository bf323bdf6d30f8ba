"""`mcp-ashigaru gates lint`, `init` and `schema`, on directories of all kinds."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from gates.ecosystem import Gate
from gates.plan import GATE_FILE, GatePlan, SetupPlan, plan
from gates.spec import schema_text
from gates.test_runners import TestRunner, runner_in
from mcp_ashigaru.cli import app
from mcp_ashigaru.gate_draft import draft
from mcp_ashigaru.work_tree import WorkTree
from runner.errors import BadIntent

NAMES = st.text(alphabet="abc0", min_size=1, max_size=8)
LINES = st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text and text.strip() != "")
GATES = st.builds(
    Gate,
    name=st.just("test"),
    run=LINES,
    junit=st.none() | NAMES,
    timeout_s=st.integers(1, 7200),
    printed=st.booleans(),
    runner=st.none() | st.sampled_from(TestRunner),
    image=st.none() | NAMES,
    directory=st.just("") | NAMES,
    environment=st.dictionaries(NAMES.map("V".__add__), st.text(max_size=20).filter(lambda text: "\0" not in text)).map(
        lambda told: tuple(sorted(told.items()))
    ),
    paths=st.lists(NAMES, max_size=3).map(tuple),
)


def gates(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["gates", *map(str, arguments)])


def filled(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def refusal(result: Result) -> str:
    """What the command line says of it, with exit status 2."""
    assert isinstance(result.exception, BadIntent)
    assert str(result.exception).endswith(".")
    return str(result.exception)


PYTHON = {"tests/test_a.py": "", "requirements.txt": "lib==1\n", "src/a.py": ""}


def test_what_init_writes_is_what_would_have_been_recognised(tmp_path: Path) -> None:
    tree = WorkTree(root=filled(tmp_path, PYTHON))
    recognised = plan(None, tree.paths(), tree.read)
    assert isinstance(recognised, GatePlan)
    assert gates("init", tmp_path).exit_code == 0
    written = plan((tmp_path / GATE_FILE).read_bytes(), (), lambda _: None)
    assert isinstance(written, GatePlan)
    assert (written.setup, written.environment) == (recognised.setup, recognised.environment)
    assert [(one.name, one.run, one.junit) for one in written.gates] == [
        (one.name, one.run, one.junit) for one in recognised.gates
    ]
    assert gates("lint", tmp_path).exit_code == 0


def test_init_leaves_a_file_that_is_there_alone_and_follows_no_link(tmp_path: Path) -> None:
    filled(tmp_path, {**PYTHON, GATE_FILE: "mine"})
    assert "there already" in refusal(gates("init", tmp_path))
    assert (tmp_path / GATE_FILE).read_text(encoding="utf-8") == "mine"
    (tmp_path / GATE_FILE).unlink()
    (tmp_path / GATE_FILE).symlink_to(tmp_path / "elsewhere")
    assert "there already" in refusal(gates("init", tmp_path))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["empty", "none", "file"])
def test_init_says_why_it_wrote_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert ("Nothing was written" if name == "empty" else "no directory") in refusal(gates("init", tmp_path / name))
    assert not (tmp_path / "empty" / GATE_FILE).exists()


def test_init_writes_no_file_that_would_be_refused(tmp_path: Path) -> None:
    many = ", ".join(f'"a-package-of-a-long-name-{number}"' for number in range(150))
    filled(tmp_path, {"test_a.py": "", "pyproject.toml": f"[project]\ndependencies = [{many}]"})
    assert "too much for a gate file: setup.run.2" in refusal(gates("init", tmp_path))
    assert not (tmp_path / GATE_FILE).exists()


def test_lint_says_what_is_good_and_what_to_think_of(tmp_path: Path) -> None:
    filled(tmp_path, {**PYTHON, GATE_FILE: '[[gate]]\nname = "test"\nrun = "make test"\n'})
    done = gates("lint", tmp_path)
    assert done.exit_code == 0
    assert done.stdout.startswith("ok    .ashigaru.toml  gates: test\nwarn  .ashigaru.toml  no required gate")
    told = json.loads(gates("lint", "--json", tmp_path).stdout)
    assert (told["ok"], [one["level"] for one in told["findings"]]) == (True, ["ok", "warn"])


@pytest.mark.parametrize("text", ["[[gate]]\nname = 'x'\nrun = ''\n", "[[gate", ""])
def test_a_file_that_is_wrong_is_told_with_its_key_and_a_status_of_one(tmp_path: Path, text: str) -> None:
    filled(tmp_path, {GATE_FILE: text})
    for arguments in ((tmp_path,), (tmp_path / GATE_FILE,), ("--json", tmp_path)):
        done = gates("lint", *arguments)
        assert done.exit_code == 1
        assert "fail" in done.stdout
        assert done.stdout.rstrip().endswith((".", "}"))


def test_a_file_of_another_name_is_looked_at_by_itself(tmp_path: Path) -> None:
    text = '[[gate]]\nname = "t"\nrun = "pytest --junitxml=/ashigaru/out/a.xml"\njunit = "a.xml"\ndirectory = "gone"\n'
    filled(tmp_path, {"draft.toml": text, GATE_FILE: text, "a.py": ""})
    assert "no directory gone" in gates("lint", tmp_path / GATE_FILE).stdout
    assert "gone" not in gates("lint", tmp_path / "draft.toml").stdout


def test_a_gate_file_that_cannot_be_read_is_refused_and_does_not_hold_the_command(tmp_path: Path) -> None:
    assert "no plain file" in refusal(gates("lint", tmp_path))
    os.mkfifo(tmp_path / GATE_FILE)
    assert "no plain file" in refusal(gates("lint", tmp_path))
    (tmp_path / GATE_FILE).unlink()
    filled(tmp_path, {GATE_FILE: "#" * 70_000})
    assert "over" in gates("lint", tmp_path).stdout


def test_the_schema_is_printed_as_it_is_published() -> None:
    assert gates("schema").stdout == schema_text()


def test_a_work_tree_is_seen_without_what_tools_made_and_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    filled(tmp_path / "outside", {"secret.py": "x"})
    root = filled(tmp_path / "repo", {"a.py": "a", "b/c.py": "", "node_modules/d.js": "", ".git/config": ""})
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "one.py").symlink_to(tmp_path / "outside" / "secret.py")
    tree = WorkTree(root=root)
    assert {path for path in tree.paths() if path.endswith((".py", ".js", "config"))} == {"a.py", "b/c.py", "one.py"}
    assert (tree.read("a.py"), tree.read("one.py"), tree.read("none")) == (b"a", None, None)


@given(
    GATES,
    st.none() | st.builds(SetupPlan, commands=st.tuples(LINES), manifests=st.tuples(NAMES), timeout_s=st.just(9)),
    st.none() | NAMES,
)
def test_reading_a_draft_gives_the_plan_again(gate: Gate, setup: SetupPlan | None, image: str | None) -> None:
    meant = GatePlan(image=image, setup=setup, gates=(gate,), environment=gate.environment)
    runner = runner_in(gate.run) if gate.runner is None else gate.runner
    assert plan(draft(meant).encode(), (), lambda _: None) == replace(
        meant, gates=(replace(gate, runner=runner),), declared=True
    )
