"""What a backup holds, and how it is put back. A daemon may be at work while one is made."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mcp_ashigaru import __version__
from mcp_ashigaru.settings import ConfigError, Settings
from mcp_ashigaru.state_dir import make_state_dir, mark_restored
from mcp_ashigaru.stores import forge_of, records_file, records_url
from runner.adapters.git_backup import copy_repository
from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import BareRepository
from runner.adapters.sql_engine import open_engine, ready
from runner.adapters.sqlite_copy import copy_sqlite, sound_sqlite
from runner.errors import CheckoutFault
from runner.files import write_whole
from runner.layout import Layout

RECORDS: Final = "ashigaru.db"
_MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_GIT_S: Final = 600.0
# The anchors come before the records: they must not name receipts that the copy does not have.
_FILES: Final = ("receipts.anchors", "forge-secret", "canary-secret", "host-word", "fleet.toml")


@dataclass(frozen=True, kw_only=True)
class Made:
    """What is in a backup. records: whether they are in it; they are not where a server holds them."""

    repositories: int
    clones: int
    records: bool


def back_up(settings: Settings, target: Path) -> Made:
    """Have a whole backup in `target`, which is new or empty. Raises ConfigError, RunnerError.

    It holds the records, the local forge, the clones of runs, the secrets and the anchors of this state directory. It
    does not hold the round engine's database: rounds that were in flight start again from the records.
    """
    # Absolute, for git works from a directory of its own.
    state, target = settings.state_dir.absolute(), target.absolute()
    if not state.is_dir():
        raise ConfigError(f"There is no state directory {state}; set ASHIGARU_STATE_DIR.")
    _empty(target)
    for name in _FILES:
        if (state / name).is_file():
            shutil.copy2(state / name, target / name)
    file = records_file(settings)
    engine = open_engine(records_url(settings))
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        ready(engine)
        repositories = stack.enter_context(forge_of(settings, engine).operator.still())
        if file is not None:
            copy_sqlite(file.absolute(), target / RECORDS)
        for bare in repositories:
            copy_repository(bare, target / bare.place.relative_to(state))
    git = GitCommand(state / "git" / "home", timeout_s=_GIT_S)
    clones = [
        BareRepository(git=git, place=place)
        for place in sorted((Layout(state_dir=state).mirrors_and_clones / "clones").glob("*.git"))
    ]
    for clone in clones:
        _copy_clone(clone, target / clone.place.relative_to(state))
    manifest = {
        "format": _FORMAT,
        "version": __version__,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": settings.host_id,
        "records": file is not None,
        "files": {str(path.relative_to(target)): _digest(path) for path in sorted(target.rglob("*")) if path.is_file()},
    }
    # Last: without it nothing takes the directory for a backup.
    write_whole(target / _MANIFEST, json.dumps(manifest, indent=1).encode("utf-8"))
    return Made(repositories=len(repositories), clones=len(clones), records=file is not None)


def restore(settings: Settings, source: Path) -> bool:
    """Have the state directory, which is new or empty, as the backup has it; whether the records were in it.

    The daemon that starts on it asks the forge what became of each run meanwhile. Raises ConfigError.
    """
    state, source = settings.state_dir.absolute(), source.absolute()
    manifest = _manifest(source)
    file = records_file(settings)
    if manifest["records"] and (file is None or file.absolute() != state / RECORDS):
        raise ConfigError(
            f"The backup holds its records as a file, to be read from {state / RECORDS}; "
            "restore it and start without ASHIGARU_DATABASE_URL."
        )
    if state.exists() and any(state.iterdir()):
        raise ConfigError(f"{state} is not empty; move it away, or choose another ASHIGARU_STATE_DIR.")
    draft = state.with_name(f".{state.name}.restoring")
    try:
        if draft.exists():
            shutil.rmtree(draft)
        state.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, draft, symlinks=True)
        (draft / _MANIFEST).unlink()
        draft.chmod(0o700)
        mark_restored(draft)
        if state.exists():
            state.rmdir()
        draft.rename(state)
    except OSError as exc:
        raise ConfigError(f"{state} cannot be written ({exc.strerror}); correct its rights or its disk.") from exc
    return bool(manifest["records"])


def _copy_clone(clone: BareRepository, target: Path) -> None:
    try:
        copy_repository(clone, target)
    except (CheckoutFault, OSError):
        if clone.exists:
            raise
        # Its run ended meanwhile, and the clone with it.
        shutil.rmtree(target, ignore_errors=True)


def _empty(target: Path) -> None:
    try:
        make_state_dir(target)
        filled = any(target.iterdir())
        if not filled:
            # It may have been there before, for all to read.
            target.chmod(0o700)
    except (OSError, ConfigError) as exc:
        raise ConfigError(f"{target} cannot be written; name a new directory.") from exc
    if filled:
        raise ConfigError(f"{target} is not empty; name a new directory.")


def _manifest(source: Path) -> dict[str, object]:
    try:
        told = json.loads((source / _MANIFEST).read_text(encoding="utf-8"))
        known = told["format"] == _FORMAT
        files = {str(name): str(digest) for name, digest in told["files"].items()}
        inside = all(".." not in Path(name).parts and not Path(name).is_absolute() for name in files)
        whole = inside and all(_digest(source / name) == digest for name, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(f"{source} is no backup, or not a whole one; name another.") from exc
    if not known:
        raise ConfigError(f"{source} was made by another version of mcp-ashigaru; restore it with that one.")
    if not whole or (RECORDS in files and not sound_sqlite(source / RECORDS)):
        raise ConfigError(f"{source} is damaged: a file is not what was written; name another.")
    return {"records": bool(told.get("records"))}


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
