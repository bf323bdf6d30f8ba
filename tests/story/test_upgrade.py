"""The last landed version with an earlier schema beside this one: its run is taken over, and comes to one end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_records import SqlRecords
from runner.model import ENGINE_PROTOCOL
from runner.sandboxes import Role
from tests.story.house import git
from tests.story.scenes import RIGHT, bare, branches, house_of, passes_when, started, writes

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other version's tree. Where set-up copied the work tree without its history, it copied this beside it."""
    where = tmp_path_factory.mktemp("previous")
    kept = ROOT / ".state" / "previous.tar"
    if not kept.exists():
        kept = where / "previous.tar"
        with kept.open("wb") as out:
            done = subprocess.run(
                [ROOT / "scripts" / "previous_version"], stdout=out, stderr=subprocess.PIPE, text=True, check=False
            )
        assert done.returncode == 0, f"no earlier version to upgrade from: {done.stderr}"
    (where / "tree").mkdir()
    subprocess.run(["tar", "--extract", "--file", kept, "--directory", where / "tree"], check=True, timeout=PATIENCE_S)
    return where / "tree"


@contextmanager
def in_mid_agent(tree: Path, state: Path, source: Path) -> Iterator[str]:
    """The other version's daemon, killed when the block is left; the id of its run."""
    program = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "fakes" / "old_daemon.py"), str(state), str(source)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin", "HOME": str(state), "PYTHONSAFEPATH": "1"},
        text=True,
    )
    with program:
        try:
            assert program.stdout is not None
            run_id = program.stdout.readline().strip()
            assert run_id, "the other version's daemon did not come as far as an agent"
            yield run_id
        finally:
            program.kill()


@pytest.mark.parametrize("protocol", [ENGINE_PROTOCOL, ENGINE_PROTOCOL - 1])
def test_a_run_of_the_previous_version_killed_in_mid_agent_is_finished_by_this_one(
    previous: Path, state: Path, source: Path, tmp_path: Path, protocol: int
) -> None:
    tree = previous
    if protocol != ENGINE_PROTOCOL:
        tree = tmp_path / "older"
        subprocess.run(["cp", "-r", str(previous), str(tree)], check=True)
        model = tree / "runner" / "model.py"
        text = model.read_text(encoding="utf-8")
        assert f"ENGINE_PROTOCOL = {ENGINE_PROTOCOL}\n" in text
        model.write_text(text.replace(f"ENGINE_PROTOCOL = {ENGINE_PROTOCOL}\n", f"ENGINE_PROTOCOL = {protocol}\n"))
    with in_mid_agent(tree, state, source) as run_id:
        assert not was_migrated(state)
    # A fenced round keeps what its agent had done; one that is carried on starts its agent afresh when that vanished.
    second = writes(RIGHT if protocol == ENGINE_PROTOCOL else None)
    house = house_of(state, {2: second}, passes_when(RIGHT))
    with house.daemon() as foreman:
        told = foreman.at_rest(run_id)
        assert told["phase"] == "awaiting_review", told
        assert foreman.call("promote", repo="widgets", pr=told["pull"]["number"])["promoted"]
        assert foreman.daemon.forge.pull("widgets", told["pull"]["number"] + 1) is None
    # The sandboxes were in the process that was killed, so the agent is started once more.
    assert [name[-2:] for name in started(house, Role.AGENT)] == ["-2"]
    assert git(bare(state), "show", "main:total.py") == RIGHT.strip()
    assert git(bare(state), "rev-list", "--count", "main") == "2"
    assert branches(state) == {}
    assert house.containers.listing() == ()
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    found = SqlRecords(engine).run(run_id)
    engine.dispose()
    assert found is not None
    assert found.round == (1 if protocol == ENGINE_PROTOCOL else 2)


def was_migrated(state: Path) -> bool:
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    newest = max(path.name for path in (ROOT / "runner" / "migrations" / "versions").glob("0*.py"))
    with engine.connect() as connection:
        told = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    engine.dispose()
    return newest.startswith(told)
