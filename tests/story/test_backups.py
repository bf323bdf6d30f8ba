"""A backup is whole and for nobody else to read, or it is refused; whatever is there already is left alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcp_ashigaru import backups
from mcp_ashigaru.backups import back_up, restore
from mcp_ashigaru.cli import app
from mcp_ashigaru.settings import ConfigError, load_settings
from runner.adapters.file_lock import held
from runner.adapters.git_plumbing import BareRepository
from runner.errors import CheckoutFault
from tests.story.house import git
from tests.story.scenes import RIGHT, bare, house_of, passes_when


def test_backup_and_restore_say_what_they_did_and_refuse_what_would_be_lost(
    state: Path, source: Path, tmp_path: Path
) -> None:
    told = {"ASHIGARU_STATE_DIR": str(state), "ASHIGARU_HOST_ID": "here"}

    def say(command: str, directory: Path) -> tuple[int, str]:
        done = CliRunner().invoke(app, [command, str(directory)], env=told)
        return done.exit_code, done.output if done.exception is None else str(done.exception)

    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
    kept = tmp_path / "kept"
    assert say("backup", kept) == (0, f"{kept}: 1 repositories, 0 clones\n")
    assert "is not empty; name a new directory" in say("backup", kept)[1]
    assert "is not empty; move it away" in say("restore", kept)[1]
    shutil.move(state, tmp_path / "lost")
    assert "is no backup, or not a whole one" in say("restore", tmp_path / "lost")[1]
    whole = (kept / "ashigaru.db").read_bytes()
    (kept / "ashigaru.db").write_bytes(whole[:-1])
    assert "is damaged" in say("restore", kept)[1]
    assert not state.exists()
    (kept / "ashigaru.db").write_bytes(whole)
    assert say("restore", kept) == (0, f"restored to {state}\n")
    assert git(bare(state), "fsck", "--strict") == ""
    with house.daemon() as foreman:
        assert foreman.daemon.forge.repos() == ("widgets",)


@pytest.fixture
def kept(state: Path, source: Path, tmp_path: Path) -> Path:
    """A backup with a repository of the forge's in it; the state directory is gone."""
    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
    back_up(house.settings(8020), tmp_path / "kept")
    shutil.move(state, tmp_path / "lost")
    return tmp_path / "kept"


def test_a_backup_whose_repository_was_damaged_is_refused(state: Path, kept: Path) -> None:
    found = next(path for path in (kept / "forge").rglob("*") if path.is_file() and "objects" in path.parts)
    found.chmod(0o600)
    found.write_bytes(found.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="is damaged"):
        restore(load_settings(state_dir=state), kept)
    assert not state.exists()


def test_a_backup_is_for_nobody_else_to_read_and_keeps_the_name_that_sandboxes_know_the_host_by(
    state: Path, kept: Path, tmp_path: Path
) -> None:
    assert restore(load_settings(state_dir=state), kept)
    word = (state / "host-word").read_bytes()
    assert word == (tmp_path / "lost" / "host-word").read_bytes()
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    back_up(load_settings(state_dir=state), shared)
    assert shared.stat().st_mode & 0o077 == 0


def test_records_that_were_backed_up_as_a_file_are_not_put_where_no_daemon_would_read_them(
    state: Path, kept: Path, tmp_path: Path
) -> None:
    settings = load_settings(state_dir=state, database_url=f"sqlite:///{tmp_path}/elsewhere.db")
    with pytest.raises(ConfigError, match="start without ASHIGARU_DATABASE_URL"):
        restore(settings, kept)
    assert not state.exists()


def test_a_backup_may_be_named_from_where_one_stands(
    state: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert restore(load_settings(state_dir=state), Path(kept.name))
    made = back_up(load_settings(state_dir=state), Path("again"))
    assert (made.repositories, made.records) == (1, True)
    shutil.rmtree(state)
    assert restore(load_settings(state_dir=state), Path("again"))
    assert git(bare(state), "fsck", "--strict") == ""


def change_manifest(kept: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = json.loads((kept / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    (kept / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def names_a_file_outside(kept: Path) -> None:
    (kept.parent / "outside").write_bytes(b"whole")
    digest = hashlib.sha256(b"whole").hexdigest()
    change_manifest(kept, lambda told: told["files"].update({"../outside": digest}))  # type: ignore[attr-defined]


def holds_records_that_were_unsound_already(kept: Path) -> None:
    (kept / "ashigaru.db").write_bytes(b"no database" * 1000)
    digest = hashlib.sha256((kept / "ashigaru.db").read_bytes()).hexdigest()
    change_manifest(kept, lambda told: told["files"].update({"ashigaru.db": digest}))  # type: ignore[attr-defined]


def is_of_another_format(kept: Path) -> None:
    change_manifest(kept, lambda told: told.update({"format": 2}))


@pytest.mark.parametrize(
    ("it", "sentence"),
    [
        (names_a_file_outside, "is damaged"),
        (holds_records_that_were_unsound_already, "is damaged"),
        (is_of_another_format, "was made by another version"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_is_no_backup_of_this_version_as_it_was_written_is_refused(
    state: Path, kept: Path, it: Callable[[Path], None], sentence: str
) -> None:
    it(kept)
    with pytest.raises(ConfigError, match=sentence):
        restore(load_settings(state_dir=state), kept)
    assert not state.exists()


def test_what_a_restore_left_that_was_killed_is_not_taken_for_a_part_of_the_backup(state: Path, kept: Path) -> None:
    half = state.with_name(f".{state.name}.restoring")
    half.mkdir()
    (half / "half").write_bytes(b"")
    kept.chmod(0o755)
    assert restore(load_settings(state_dir=state), kept)
    assert not (state / "half").exists()
    assert not half.exists()
    assert state.stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("kept")
def test_no_pull_request_is_merged_between_the_copies_of_the_records_and_of_its_repository(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(tmp_path / "lost", state)
    (lock,) = [one for one in (state / "forge" / ".locks").rglob("*") if one.is_file()]
    kept_still: list[str] = []

    def seen(copy: Callable[..., object]) -> Callable[..., object]:
        def copied(*arguments: object) -> object:
            with pytest.raises(CheckoutFault), held(lock, timeout_s=0.0):
                pass
            kept_still.append(copy.__name__)
            return copy(*arguments)

        return copied

    for copy in (backups.copy_sqlite, backups.copy_repository):
        monkeypatch.setattr(backups, copy.__name__, seen(copy))
    back_up(load_settings(state_dir=state), tmp_path / "again")
    assert kept_still == ["copy_sqlite", "copy_repository"]


@pytest.mark.parametrize("ended", [True, False], ids=["whose run ended meanwhile", "that cannot be copied"])
def test_a_clone_is_left_out_where_it_is_gone_and_nothing_else_is(
    state: Path,
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ended: bool,  # noqa: FBT001 - a case
) -> None:
    assert restore(load_settings(state_dir=state), kept)
    clone = state / "git" / "clones" / "widgets-1-aaaaaa.git"
    shutil.copytree(bare(state), clone)

    def fails(repository: BareRepository, target: Path) -> None:
        if repository.place == bare(state):
            return
        (target / "objects").mkdir(parents=True)
        if ended:
            shutil.rmtree(repository.place)
        raise CheckoutFault("It is not there.")

    monkeypatch.setattr(backups, "copy_repository", fails)
    again = tmp_path / "again"
    if ended:
        back_up(load_settings(state_dir=state), again)
        assert not (again / "git" / "clones" / clone.name).exists()
        return
    with pytest.raises(CheckoutFault):
        back_up(load_settings(state_dir=state), again)
    assert not (again / "manifest.json").exists()
