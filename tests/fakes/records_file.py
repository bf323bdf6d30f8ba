"""The records' database as a daemon's first start leaves it, migrated once a process and copied from then on."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from runner.adapters.sql_engine import migrate, open_engine


def laid_down(file: Path) -> Path:
    """Have an empty database of this version's schema there, unless there is a file already; the same path."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_migrated())
    return file


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="ash") as directory:
        file = Path(directory) / "ashigaru.db"
        engine = open_engine(f"sqlite:///{file}")
        try:
            migrate(engine)
        finally:
            # The last connection folds the write-ahead log into the file.
            engine.dispose()
        return file.read_bytes()
