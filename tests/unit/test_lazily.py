"""A command line loads the command that is asked for: what stands in the tables is what the commands say themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mcp_ashigaru.cli import People, app
from mcp_ashigaru.commands.gates import Gates
from mcp_ashigaru.commands.lazily import Lazily

PROJECT = Path(__file__).parents[2]
NAMED = [(group, name) for group in (People, Gates) for name in group.named]
HEAVY = {"mcp", "dbos", "sqlalchemy", "alembic", "podman", "github", "git", "detect_secrets", "uvicorn", "httpx2"}
LOADED = """
import json, sys
from mcp_ashigaru.cli import main
sys.argv[1:] = json.loads(sys.argv[1])
try:
    main()
except SystemExit:
    pass
sys.stderr.write(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(("group", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_line_of_the_help_is_what_the_command_says_of_itself_first(group: type[Lazily], name: str) -> None:
    command = group(name="all").commands[name]
    assert command.name == name
    assert command.help is not None
    assert command.help.partition("\n")[0] == group.named[name].line


def test_a_command_is_loaded_once_and_no_other_with_it() -> None:
    group = Gates(name="gates")
    assert group.commands["schema"] is group.commands["schema"]
    assert group.commands.get("nothing") is None
    assert list(group.commands) == ["init", "lint", "schema", "judge"]
    assert len(group.commands) == 4


def test_a_name_that_is_nearly_right_is_told() -> None:
    done = CliRunner().invoke(app, ["promotte"])
    assert done.exit_code == 2
    assert "Did you mean 'promote'" in done.stderr


def test_help_lists_every_command_in_the_order_of_the_table() -> None:
    told = CliRunner().invoke(app, ["--help"], terminal_width=200).stdout
    listed = told.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert listed == [f"  {name:<15}  {one.line}" for name, one in People.named.items()]


def test_a_group_below_keeps_its_own_commands() -> None:
    forge = People(name="all").commands["forge"]
    assert isinstance(forge, typer.core.TyperGroup)
    assert "add" in forge.commands


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["serve", "--help"], set()),
        (["gates", "schema"], set()),
        (["egress", "--help"], set()),
        (["status", "--help"], {"mcp", "httpx2", "uvicorn"}),
    ],
    # A set's order is another in each process, and all workers must name a test alike.
    ids=lambda words: " ".join(sorted(words)) if isinstance(words, set) else " ".join(words),
)
def test_a_command_loads_no_library_that_it_does_not_need(
    tmp_path: Path, arguments: list[str], needed: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(arguments)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(json.loads(done.stderr)) & HEAVY <= needed
