"""A whole copy of a SQLite database that others are writing to meanwhile."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from runner.errors import RecordsFault

_PATIENCE_S: Final = 60.0


def copy_sqlite(source: Path, target: Path) -> None:
    """Have `target`, which is new, hold what `source` held at one moment; writers go on. Raises RecordsFault."""
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", timeout=_PATIENCE_S, uri=True)) as there,
            closing(sqlite3.connect(target, timeout=_PATIENCE_S)) as here,
        ):
            # In one go: it reads one snapshot, and starts over for nobody.
            there.backup(here)
            # One file, without a journal beside it that might be left behind.
            here.execute("PRAGMA journal_mode=DELETE")
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except (sqlite3.Error, OSError) as exc:
        target.unlink(missing_ok=True)
        raise RecordsFault(f"{source} cannot be copied ({exc}); check the database and both disks.") from exc


def sound_sqlite(file: Path) -> bool:
    """Whether the file is a SQLite database with nothing out of place."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as there:
            return bool(there.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)])
    except sqlite3.Error:
        return False
